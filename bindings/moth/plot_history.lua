--- The curves of a history: a panel for each metric, training beside validation.

local figure = require "moth.plot_figure"
local options = require "moth.options"
local progress = require "moth.progress"

local plot_history = {}

--- The metrics of a history in the order of progress lines, without val_ and without the learning rate.
---@param history any
---@return string[]
function plot_history.metrics(history)
    local first = {}
    for name, list in pairs(history.history) do
        first[name] = list[1]
    end
    local names = {}
    for _, pair in ipairs(progress.pairs(first, history.params and history.params.metrics)) do
        if pair[1] ~= "learning_rate" and not pair[1]:find("^val_") then
            names[#names + 1] = pair[1]
        end
    end
    return names
end

-- The epochs at which a list has values: lists of validation may be shorter (validation_freq).
local function epochs_of(history, list)
    local epochs = history.epoch
    local stride = math.max(1, #epochs // #list)
    local x = {}
    for i = 1, #list do
        x[i] = epochs[math.min(i * stride, #epochs)]
    end
    return x
end

local function panel_of(history, name)
    local panel = { kind = "xy", series = {}, xlabel = "epoch", ylabel = (name:gsub("_", " ")) }
    for _, part in ipairs { { "", "training" }, { "val_", "validation" } } do
        local list = history.history[part[1] .. name]
        if list and #list > 0 then
            table.insert(panel.series, { x = epochs_of(history, list), y = list, label = part[2], style = "line" })
        end
    end
    return panel
end

--- The figure of some metrics.
---@param history any
---@param names string[]
---@return table figure
function plot_history.figure(history, names)
    local panels = {}
    for i, name in ipairs(names) do
        panels[i] = panel_of(history, name)
        if #panels[i].series == 0 then
            options.fail("history:plot: " .. options.unknown("no metric named", name, plot_history.metrics(history)))
        end
    end
    if #panels == 0 then
        options.fail("history:plot: the history is empty")
    end
    return { panels = panels, columns = math.min(#panels, 2) }
end

local spec = figure.spec_of("history:plot", {
    { "metrics", "table" },
    { "ylog", "boolean" },
})

--- Draws a history into a file, or in the terminal without one (`history:plot("curves.svg")`).
---@param history any  what fit returned
---@param file? string
---@param settings? table  metrics = { names }, ylog, title, width, height
---@return string? file
function plot_history.plot(history, file, settings)
    if settings ~= nil and type(settings) ~= "table" then
        options.fail("history:plot: the second argument must be a table of options; got " .. options.show(settings))
    end
    local args = { file = file }
    for key, value in next, settings or {} do
        args[key] = value
    end
    local values = options.read(spec, args)
    for i, name in ipairs(values.metrics or {}) do
        if type(name) ~= "string" then
            options.fail(("history:plot: metrics[%d] must be a name; got %s"):format(i, options.show(name)))
        end
    end
    local drawing = plot_history.figure(history, values.metrics or plot_history.metrics(history))
    for _, panel in ipairs(drawing.panels) do
        panel.ylog = values.ylog
    end
    return figure.draw(drawing, values)
end

return plot_history
