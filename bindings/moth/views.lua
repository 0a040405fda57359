--- How the prompt shows what is more than a line: models with their layers, histories with their epochs.
local progress = require "moth.progress"
local terminal = require "moth.terminal"

local views = {}

local MOST_EPOCHS = 12

views["moth.model"] = function(model)
    return model.built and require("moth.summary").text(model) or tostring(model)
end

--- How wide each column of some rows of texts is.
local function widths_of(rows)
    local widths = {}
    for _, row in ipairs(rows) do
        for j, cell in ipairs(row) do
            widths[j] = math.max(widths[j] or 0, utf8.len(cell))
        end
    end
    return widths
end

--- The last of the columns from `first` on that fit beside the first one.
local function last_fitting(widths, first, room)
    local last, used = first, widths[1] + 2 + widths[first]
    while widths[last + 1] and used + 2 + widths[last + 1] <= room do
        last = last + 1
        used = used + 2 + widths[last]
    end
    return last
end

--- Rows of texts in columns, aligned to the right. What does not fit stands below the others, behind the first column.
local function columns(rows, room)
    local widths, blocks, first = widths_of(rows), {}, 2
    while widths[first] do
        local last, lines = last_fitting(widths, first, room), {}
        for i, row in ipairs(rows) do
            local cells = { terminal.pad_left(row[1], widths[1]) }
            for j = first, last do
                cells[#cells + 1] = row[j] and terminal.pad_left(row[j], widths[j])
            end
            lines[i] = table.concat(cells, "  ")
        end
        blocks[#blocks + 1] = table.concat(lines, "\n")
        first = last + 1
    end
    return table.concat(blocks, "\n\n")
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
    return count > 0 and columns(rows, terminal.width()) or tostring(history)
end

return views
