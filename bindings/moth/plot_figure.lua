--- What all plots share: their options, names, and where they are drawn.

local data = require "moth.plot_data"
local options = require "moth.options"

local figure = {}

local endings = { "svg", "png", "pdf" }

local function file_name(value)
    if type(value) ~= "string" then
        return nil, "the name of a file"
    end
    local ending = value:match("%.([%w]+)$")
    for _, known in ipairs(endings) do
        if ending and ending:lower() == known then
            return value
        end
    end
    return nil, "a name that ends in .svg, .png or .pdf"
end

local function limits(value)
    if type(value) == "table" and #value == 2 and data.finite(value[1]) and data.finite(value[2])
        and value[1] < value[2] then
        return { value[1], value[2] }
    end
    return nil, "a pair { lowest, highest }"
end

--- A spec with the options that all plots share, after those of their own.
---@param name string
---@param own moth.Option[]
---@return moth.Spec
function figure.spec_of(name, own)
    local spec = { name = name, positionals = #own }
    for _, list in ipairs { own, {
        { "title", "string" },
        { "file", file_name },
        { "width", "integer", min = 100, max = 10000 },
        { "height", "integer", min = 100, max = 10000 },
    } } do
        for _, option in ipairs(list) do
            spec[#spec + 1] = option
        end
    end
    return spec
end

local xy_options = {
    { "xlabel", "string" },
    { "ylabel", "string" },
    { "xlog", "boolean" },
    { "ylog", "boolean" },
    { "xlim", limits },
    { "ylim", limits },
}

--- Options with those of the axes behind them.
---@param own moth.Option[]
---@return moth.Option[] own
function figure.with_axes(own)
    return table.move(xy_options, 1, #xy_options, #own + 1, own)
end

--- A text on one line, without anything that a terminal would take for a command.
---@param text string?
---@return string?
function figure.plain(text)
    return text and (text:gsub("%c", " "))
end

--- Draws a figure: into the file that the options name, else in the terminal.
---@param drawing table  panels, columns
---@param values table  the options that were read
---@return string? file
function figure.draw(drawing, values)
    drawing.title = figure.plain(values.title)
    drawing.width, drawing.height = values.width, values.height
    for _, panel in ipairs(drawing.panels) do
        for _, key in ipairs { "title", "xlabel", "ylabel" } do
            panel[key] = figure.plain(panel[key])
        end
    end
    if values.file then
        require("moth.plot_gnuplot").write(drawing, values.file)
        return values.file
    end
    require("moth.plot_terminal").show(drawing)
end

--- A panel with the options of its axes.
---@param values table  the options that were read
---@param fields table  the rest of the panel
---@return table fields
function figure.panel_of(values, fields)
    fields.kind = fields.kind or "xy"
    for _, option in ipairs(xy_options) do
        fields[option[1]] = values[option[1]]
    end
    return fields
end

--- A list of names, which may be given as numbers.
---@param value any
---@param what string  as messages name it
---@param count? integer  how many there must be
---@return string[]
function figure.names_of(value, what, count)
    local names = {}
    for i, name in ipairs(data.table_of(value, what)) do
        if type(name) ~= "string" and not math.type(name) then
            options.fail(("%s must hold names; element %d is %s"):format(what, i, options.show(name)))
        end
        names[i] = figure.plain(math.type(name) == "float" and ("%.6g"):format(name) or tostring(name))
    end
    if count and #names ~= count then
        options.fail(("%s must have %d elements; got %d"):format(what, count, #names))
    end
    return names
end

return figure
