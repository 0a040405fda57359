--- LivePlot: the curves of training in the terminal, drawn anew after each epoch.
-- On a live screen the plot stays at the bottom, above the progress line. Elsewhere it is drawn once, at the end.

local callback = require "moth.callback"
local progress = require "moth.progress"
local terminal = require "moth.terminal"

local LivePlot = { saved = { "epoch", "history" } }

function LivePlot:init()
    self.epoch, self.history = {}, {}
end

function LivePlot:on_train_begin()
    self:init()
end

function LivePlot:screen()
    return self.params.screen or progress.default()
end

function LivePlot:lines()
    -- Loaded only when something is drawn: moth starts faster without.
    local plot_history, plot_terminal = require "moth.plot_history", require "moth.plot_terminal"
    local screen = self:screen()
    local style = plot_terminal.style("stderr")
    style.color, style.utf8, style.rows = screen.color, screen.utf8, self.height
    style.columns = math.min(style.columns, screen.width() - 1)
    local names = self.metrics or plot_history.metrics(self)
    if not self.metrics then
        -- Loss, and one metric more where the terminal is high enough for two panels.
        local panels = terminal.height() < 2 * (self.height + 5) and 1 or 2
        names = table.move(names, 1, panels, 1, {})
    end
    return plot_terminal.lines(plot_history.figure(self, names), style)
end

function LivePlot:on_epoch_end(epoch, logs)
    table.insert(self.epoch, epoch)
    for name, value in pairs(logs) do
        if math.type(value) then
            self.history[name] = self.history[name] or {}
            table.insert(self.history[name], value)
        end
    end
    -- One point is no curve yet.
    if #self.epoch > 1 and self:screen().live then
        self:screen():keep(self:lines())
    end
end

function LivePlot:on_train_end()
    local screen = self:screen()
    if screen.live then
        screen:leave()
    elseif #self.epoch > 1 then
        screen:message(table.concat(self:lines(), "\n"))
    end
end

return {
    --- Draws the curves of loss and metrics in the terminal while fit runs: `LivePlot { "accuracy" }`.
    LivePlot = callback.class({
        name = "LivePlot",
        { "metrics", function(value)
            if type(value) == "string" then
                return { value }
            elseif type(value) == "table" and type(value[1]) == "string" then
                return value
            end
            return nil, "the name of a metric, or a list of names"
        end },
        { "height", "integer", default = 12, min = 4, max = 100 },
    }, LivePlot),
}
