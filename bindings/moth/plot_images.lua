--- Plots of pictures: grids with titles, and weights as pictures.

local data = require "moth.plot_data"
local figure = require "moth.plot_figure"
local options = require "moth.options"

local plots = {}

-- Pictures come as a list of {h, w} or {h, w, c}, as one tensor of {n, h, w} or {n, h, w, c}, or as a single picture.
local function read_images(value, what)
    local list = data.table_of(value, what)
    local first = type(list[1]) == "table" and getmetatable(list[1]) == nil and list[1] or nil
    if first and data.rank(list) == 2 then
        list = { list }
    end
    local images = {}
    for i, one in ipairs(list) do
        images[i] = data.image(one, ("%s: picture %d"):format(what, i))
    end
    if #images == 0 then
        options.fail(what .. ": there is no picture")
    end
    return images
end

local function image_limits(images)
    local lists, colored = {}, false
    for _, image in ipairs(images) do
        for _, row in ipairs(image) do
            colored = colored or type(row[1]) == "table"
            lists[#lists + 1] = type(row[1]) == "table" and data.flatten(row) or row
        end
    end
    local low, high = data.range(lists)
    -- Bytes and shares of 1 keep their own scale, so that a dark picture stays dark.
    if low and low >= 0 and high <= 1 then
        return { 0, 1 }, colored
    elseif low and low >= 0 and high <= 255 then
        return { 0, 255 }, colored
    end
    return { low or 0, high or 1 }, colored
end

local images_spec = figure.spec_of("plot.images", {
    { "images", "any", required = true },
    { "titles", "any" },
    { "columns", "integer", min = 1 },
    { "marked", "table" },
})

--- Pictures side by side, with titles; `marked = { [3] = true }` stresses the third title. Grey pictures are drawn as
-- ink on paper in files, and as light on the terminal.
---@param args table
---@return string? file
function plots.images(args)
    local values = options.read(images_spec, args)
    local images = read_images(values.images, "plot.images")
    local range, colored = image_limits(images)
    local titles = values.titles and figure.names_of(values.titles, "plot.images: titles", #images)
    local panel = {
        kind = "images", images = images, titles = titles, marked = values.marked or {}, limits = range,
        columns = values.columns or math.ceil(math.sqrt(#images)), palette = colored and "rgb" or "grey",
    }
    return figure.draw({ panels = { panel } }, values)
end

-- Whether a table is { picture, file = … }, as the other plots take it, and no picture of its own.
local function holds_options(value)
    return type(value) == "table" and getmetatable(value) == nil
        and (type(value[1]) == "userdata" or type(next(value, #value > 0 and #value or nil)) == "string")
end

--- One picture: `plot.image(picture)`, or `plot.image { picture, file = "a.svg" }`.
---@param picture any  a tensor or table of shape {h, w} or {h, w, c}
---@param settings? table  options of plot.images
---@return string? file
function plots.image(picture, settings)
    if settings == nil and holds_options(picture) then
        picture, settings = picture[1], picture
    end
    local args = { images = { data.image(picture, "plot.image: picture") } }
    for key, value in pairs(settings or {}) do
        if key ~= 1 then
            args[key] = value
        end
    end
    return plots.images(args)
end

local weights_spec = figure.spec_of("plot.weights", {
    { "weights", "any", required = true },
    { "shape", "table" },
    { "columns", "integer", min = 1 },
    { "count", "integer", min = 1, default = 100 },
})
weights_spec.positionals = 1

local function first_weights(value)
    -- Objects of moth raise for what they do not have: weights alone are a tensor.
    local has, get_weights = pcall(function()
        return value.get_weights
    end)
    if has and get_weights then
        local list = get_weights(value)
        if #list == 0 then
            options.fail("plot.weights: the model has no weights")
        end
        return list[1]
    end
    return value
end

local function unit_image(rows, unit, shape)
    local image = {}
    for i = 1, shape[1] do
        image[i] = {}
        for j = 1, shape[2] do
            image[i][j] = rows[(i - 1) * shape[2] + j][unit]
        end
    end
    return image
end

--- What each unit of a first Dense layer looks for: its weights as a picture, blue below zero, red above.
---@param args table  a model, or weights of shape {inputs, units}; shape = {h, w}, default square
---@return string? file
function plots.weights(args)
    local values = options.read(weights_spec, args)
    local rows = data.matrix(first_weights(values.weights), "plot.weights: weights")
    local side = math.floor(math.sqrt(#rows) + 0.5)
    local shape = values.shape or { side, side }
    if math.type(shape[1]) ~= "integer" or math.type(shape[2]) ~= "integer" or shape[1] * shape[2] ~= #rows then
        options.fail(("plot.weights: shape must be {h, w} with h times w = %d inputs"):format(#rows))
    end
    local images = {}
    for unit = 1, math.min(#rows[1], values.count) do
        images[unit] = unit_image(rows, unit, shape)
    end
    local low, high = data.range(rows)
    local largest = math.max(math.abs(low or 0), math.abs(high or 0))
    local panel = { kind = "images", images = images, palette = "diverging", limits = { -largest, largest },
        colorbar = true, columns = values.columns or math.ceil(math.sqrt(#images)), marked = {} }
    return figure.draw({ panels = { panel } }, values)
end

return plots
