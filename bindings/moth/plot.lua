--- moth.plot: curves, bars, histograms, heat maps and pictures, into a file or in the terminal.
--
--     moth.plot { x = …, y = …, title = "…", file = "a.svg" }        .svg .png .pdf; without a file, in the terminal
--     moth.plot { series = { { x, y, "train" }, { x = x, y = z, label = "test" } }, xlabel = "epoch", ylog = true }
--     moth.plot.bars { names, values }   histogram { values }   heatmap { rows }   images { list }   weights { model }
--
-- Every function returns the name of the file it wrote. Numbers come as Lua lists or as tensors.

local data = require "moth.plot_data"
local figure = require "moth.plot_figure"
local options = require "moth.options"

local plot = {}

for name, draw in pairs(require("moth.plot_images")) do
    plot[name] = draw
end

-- ---- curves ---------------------------------------------------------------------------------------------------------

local styles = { "line", "points", "steps" }

local series_spec = {
    name = "plot: series",
    positionals = 3,
    { "x", "any" },
    { "y", "any" },
    { "label", "string" },
    { "low", "any" },
    { "high", "any" },
    { "style", styles },
}

local function counting(count)
    local list = {}
    for i = 1, count do
        list[i] = i
    end
    return list
end

local function same_length(list, count, what)
    if #list ~= count then
        options.fail(("%s must have as many elements as y (%d); got %d"):format(what, count, #list))
    end
    return list
end

-- x that holds names gives categories, which stand at 1, 2, …
local function read_x(values, count)
    if values.x == nil then
        return counting(count)
    end
    local x = data.table_of(values.x, "plot: x")
    if type(x[1]) == "string" then
        return counting(count), figure.names_of(same_length(x, count, "plot: x"), "plot: x")
    end
    return same_length(data.numbers(x, "plot: x"), count, "plot: x")
end

local function read_series(values, default_style)
    if values.y == nil then
        options.fail("plot: y is missing")
    end
    local y = data.numbers(values.y, "plot: y")
    local x, categories = read_x(values, #y)
    local series = { x = x, y = y, label = figure.plain(values.label), style = values.style or default_style or "line" }
    for _, key in ipairs { "low", "high" } do
        if values[key] ~= nil then
            series[key] = same_length(data.numbers(values[key], "plot: " .. key), #y, "plot: " .. key)
        end
    end
    if (series.low == nil) ~= (series.high == nil) then
        options.fail("plot: low and high go together")
    end
    return series, categories
end

local plot_spec = figure.spec_of("plot", figure.with_axes {
    { "x", "any" },
    { "y", "any" },
    { "label", "string" },
    { "series", "table" },
    { "low", "any" },
    { "high", "any" },
    { "style", styles },
})
plot_spec.positionals = 2

-- All series stand on one axis: its names are those of all, in the order in which they come.
local function join_categories(list, categories)
    local names, place = {}, {}
    for i, series in ipairs(list) do
        if not categories[i] then
            options.fail("plot: series must have either names or numbers for x, not both")
        end
        for k, name in ipairs(categories[i]) do
            if not place[name] then
                names[#names + 1] = name
                place[name] = #names
            end
            series.x[k] = place[name]
        end
    end
    return names
end

local function curves(values)
    local list, categories = {}
    if values.series then
        if values.x or values.y then
            options.fail("plot: give either series or x and y")
        end
        local named = {}
        for i, one in ipairs(values.series) do
            list[i], named[i] = read_series(options.read(series_spec, one), values.style)
        end
        categories = next(named) and join_categories(list, named)
        if #list == 0 then
            options.fail("plot: series must not be empty")
        end
    else
        list[1], categories = read_series(values)
    end
    return figure.draw({ panels = { figure.panel_of(values, { series = list, categories = categories }) } }, values)
end

-- ---- bars, histograms -----------------------------------------------------------------------------------------------

local bars_spec = figure.spec_of("plot.bars", figure.with_axes {
    { "names", "any", required = true },
    { "values", "any", required = true },
    { "low", "any" },
    { "high", "any" },
})
bars_spec.positionals = 2

--- Bars with names: `plot.bars { { "sgd", "adam" }, { 0.95, 0.98 } }`; low and high add a range to each.
---@param args table
---@return string? file
function plot.bars(args)
    local values = options.read(bars_spec, args)
    local heights = data.numbers(values.values, "plot.bars: values")
    local series = read_series { y = heights, low = values.low, high = values.high }
    series.style = "bars"
    local names = figure.names_of(values.names, "plot.bars: names", #series.y)
    return figure.draw({ panels = { figure.panel_of(values, { series = { series }, categories = names }) } }, values)
end

local histogram_spec = figure.spec_of("plot.histogram", figure.with_axes {
    { "values", "any", required = true },
    { "bins", "integer", min = 1, max = 1000 },
})

--- How often values fall into each of some bins.
---@param args table
---@return string? file
function plot.histogram(args)
    local values = options.read(histogram_spec, args)
    local all = data.numbers(data.flatten(data.table_of(values.values, "plot.histogram: values")),
        "plot.histogram: values")
    local edges, counts = data.histogram(all, values.bins, values.file and 60 or 20)
    local centres, names = {}, {}
    for i = 1, #counts do
        centres[i] = (edges[i] + edges[i + 1]) / 2
        names[i] = ("%.3g"):format(centres[i])
    end
    values.ylabel = values.ylabel or "count"
    local series = { x = centres, y = counts, style = "bars", width = edges[2] - edges[1] }
    return figure.draw({ panels = { figure.panel_of(values, { series = { series }, bin_names = names }) } }, values)
end

-- ---- heat maps ------------------------------------------------------------------------------------------------------

local function value_texts(rows)
    local texts = {}
    for i, row in ipairs(rows) do
        texts[i] = {}
        for j, value in ipairs(row) do
            texts[i][j] = not data.finite(value) and "" or math.type(value) == "integer" and tostring(value)
                or ("%.3g"):format(value)
        end
    end
    return texts
end

-- The names of columns or rows: what was given, or their numbers.
local function axis_names(value, what, count)
    return figure.names_of(value or counting(count), "plot.heatmap: " .. what, count)
end

local function heatmap_panel(values, rows, fields)
    local low, high = data.range(rows)
    low, high = data.widened((low or 0) + 0.0, (high or 1) + 0.0)
    if high - low > 1e307 then
        options.fail(("plot.heatmap: values go from %.3g to %.3g, which no colours can show"):format(low, high))
    end
    local panel = {
        kind = "heatmap", values = rows, palette = values.palette or "sequential", colorbar = true,
        limits = { low, high }, xlabel = values.xlabel, ylabel = values.ylabel,
        xnames = axis_names(values.xnames, "xnames", #rows[1]), ynames = axis_names(values.ynames, "ynames", #rows),
    }
    for key, value in pairs(fields or {}) do
        panel[key] = value
    end
    return panel
end

local heatmap_spec = figure.spec_of("plot.heatmap", {
    { "values", "any", required = true },
    { "xnames", "any" },
    { "ynames", "any" },
    { "xlabel", "string" },
    { "ylabel", "string" },
    { "palette", { "sequential", "diverging" } },
    { "texts", "boolean", default = true },
})
heatmap_spec.positionals = 1

--- A matrix as colours, with its numbers where there are not too many.
---@param args table
---@return string? file
function plot.heatmap(args)
    local values = options.read(heatmap_spec, args)
    local rows = data.matrix(values.values, "plot.heatmap: values")
    local panel = heatmap_panel(values, rows)
    if values.texts and #rows <= 30 and #rows[1] <= 30 then
        panel.texts = value_texts(rows)
    end
    if panel.palette == "diverging" then
        local largest = math.max(math.abs(panel.limits[1]), math.abs(panel.limits[2]))
        panel.limits = { -largest, largest }
    end
    return figure.draw({ panels = { panel } }, values)
end

local confusion_spec = figure.spec_of("plot.confusion_matrix", {
    { "matrix", "any", required = true },
    { "names", "any" },
})

--- Counts of predicted (columns) against true classes (rows). Colours are shares of the true class, drawn by their
-- square root, so that a few mistakes among many right answers can be seen.
---@param args any  the options, or the matrix alone (`confusion_matrix:plot(file)`)
---@param file? string
---@param settings? table
---@return string? file
function plot.confusion_matrix(args, file, settings)
    if file ~= nil or settings ~= nil then
        args = { args, file = file }
        for key, value in pairs(settings or {}) do
            args[key] = value
        end
    end
    local values = options.read(confusion_spec, args)
    local counts = data.matrix(values.matrix, "plot.confusion_matrix: matrix")
    if #counts ~= #counts[1] then
        options.fail(("plot.confusion_matrix: matrix must be square; got %d rows of %d"):format(#counts, #counts[1]))
    end
    local shares, texts = {}, {}
    for i, row in ipairs(counts) do
        local sum = 0
        for _, count in ipairs(row) do
            sum = sum + count
        end
        shares[i], texts[i] = {}, {}
        for j, count in ipairs(row) do
            shares[i][j] = sum > 0 and math.sqrt(count / sum) or 0
            texts[i][j] = count == 0 and "" or ("%.6g"):format(count)
        end
    end
    -- Class ids are data and count from 0.
    local names = values.names and figure.names_of(values.names, "plot.confusion_matrix: names", #counts)
    if not names then
        names = {}
        for i = 1, #counts do
            names[i] = tostring(i - 1)
        end
    end
    local panel = heatmap_panel({ xlabel = "predicted", ylabel = "true" }, shares, {
        texts = texts, limits = { 0, 1 }, colorbar = false, square = true,
        xnames = names, ynames = table.move(names, 1, #names, 1, {}),
    })
    return figure.draw({ panels = { panel } }, values)
end

plot.history = require("moth.plot_history").plot

---@overload fun(args: table): string?
return setmetatable(plot, {
    __call = function(_, args)
        return curves(options.read(plot_spec, args))
    end,
})
