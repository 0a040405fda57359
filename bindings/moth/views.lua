--- How the prompt shows what is more than a line: models with their layers, histories with their epochs.
local progress = require "moth.progress"

local views = {}

local MOST_EPOCHS = 12

views["moth.model"] = function(model)
    return model.built and require("moth.summary").text(model) or tostring(model)
end

--- Rows of texts in columns, aligned to the right.
local function columns(rows)
    local widths, lines = {}, {}
    for _, row in ipairs(rows) do
        for j, cell in ipairs(row) do
            widths[j] = math.max(widths[j] or 0, utf8.len(cell))
        end
    end
    for i, row in ipairs(rows) do
        local cells = {}
        for j, cell in ipairs(row) do
            cells[j] = (" "):rep(widths[j] - utf8.len(cell)) .. cell
        end
        lines[i] = table.concat(cells, "  ")
    end
    return table.concat(lines, "\n")
end

--- Names of the metrics in the order of progress lines, without what is no number (a confusion matrix).
local function metric_names(history)
    local last, names = {}, {}
    for name, list in pairs(history.history) do
        last[name] = list[#list]
    end
    for i, pair in ipairs(progress.pairs(last, history.params and history.params.metrics)) do
        names[i] = pair[1]
    end
    return names
end

views["callbacks.History"] = function(history)
    local names = metric_names(history)
    local rows = { { "epoch", table.unpack(names) } }
    local count = #history.epoch
    for i, epoch in ipairs(history.epoch) do
        local row = { tostring(epoch) }
        for j, name in ipairs(names) do
            local value = history.history[name][i]
            row[j + 1] = value and progress.number(value) or "-"
        end
        if count <= MOST_EPOCHS or i <= MOST_EPOCHS // 2 or i > count - MOST_EPOCHS // 2 then
            rows[#rows + 1] = row
        elseif i == MOST_EPOCHS // 2 + 1 then
            rows[#rows + 1] = { "…" }
        end
    end
    return count > 0 and columns(rows) or tostring(history)
end

return views
