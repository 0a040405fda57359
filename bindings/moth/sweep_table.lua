--- The trials of a sweep as a table: a row for each combination of parameters, over its seeds the median and range.

local json = require "moth.json"
local progress = require "moth.progress"
local sweep_trial = require "moth.sweep_trial"
local terminal = require "moth.terminal"

local sweep_table = {}

--- A parameter's value as a table shows it.
---@param value any
---@return string
function sweep_table.value(value)
    if type(value) == "string" then
        return value
    elseif math.type(value) == "float" then
        return ("%.6g"):format(value)
    end
    return json.encode(value)
end

--- Parameters in one line: "dropout=0.3 units=64".
---@param names string[]
---@param params table
---@return string
function sweep_table.describe(names, params)
    local parts = {}
    for _, name in ipairs(names) do
        parts[#parts + 1] = ("%s=%s"):format(name, sweep_table.value(params[name]))
    end
    if params.seed ~= nil then
        parts[#parts + 1] = ("seed=%s"):format(params.seed)
    end
    return table.concat(parts, " ")
end

local function without_seed(params)
    local rest = {}
    for name, value in pairs(params) do
        if name ~= "seed" then
            rest[name] = value
        end
    end
    return rest
end

--- Trials that differ in nothing but their seed, together, in the order of the sweep.
---@param sweep table
---@return table[] groups  { params, records, expected }
function sweep_table.groups(sweep)
    local finished, groups, by_key = sweep.store:read(), {}, {}
    for _, trial in ipairs(sweep.trials) do
        local params = without_seed(trial.params)
        local key = json.encode(params)
        local group = by_key[key]
        if not group then
            group = { params = params, records = {}, expected = 0 }
            by_key[key] = group
            groups[#groups + 1] = group
        end
        group.expected = group.expected + 1
        group.records[#group.records + 1] = finished[trial.id]
    end
    return groups
end

--- Median, smallest and largest of a result over some records; nil where none has it as a number.
---@param records table[]
---@param metric string
---@return number? median
---@return number? low
---@return number? high
function sweep_table.summary(records, metric)
    local values = {}
    for _, record in ipairs(records) do
        local value = record.result and record.result[metric]
        if math.type(value) and value == value then
            values[#values + 1] = value
        end
    end
    if #values == 0 then
        return nil
    end
    local middle = sweep_trial.median(values)
    return middle, values[1], values[#values]
end

--- The names of all results, in the order of progress lines; what is no number comes last.
---@param groups table[]
---@return string[]
function sweep_table.metrics(groups)
    local numbers, others = {}, {}
    for _, group in ipairs(groups) do
        for _, record in ipairs(group.records) do
            for name, value in pairs(record.result or {}) do
                local kind = math.type(value) and numbers or others
                kind[name] = math.type(value) and value or true
            end
        end
    end
    local names = {}
    for i, pair in ipairs(progress.pairs(numbers)) do
        names[i] = pair[1]
    end
    local rest = {}
    for name in pairs(others) do
        rest[#rest + 1] = not numbers[name] and name or nil
    end
    table.sort(rest)
    return table.move(rest, 1, #rest, #names + 1, names)
end

--- A result as a table shows it: counts as they are, other numbers as in progress lines.
---@param value number
---@return string
function sweep_table.number(value)
    return math.type(value) == "integer" and tostring(value) or progress.number(value)
end

local function result_text(group, metric)
    local middle, low, high = sweep_table.summary(group.records, metric)
    if not middle then
        local record = group.records[1]
        local value = record and record.result and record.result[metric]
        return value ~= nil and tostring(math.type(value) and sweep_table.number(value) or value) or ""
    elseif low == high then
        return sweep_table.number(middle)
    end
    return ("%s (%s to %s)"):format(sweep_table.number(middle), sweep_table.number(low), sweep_table.number(high))
end

-- What a reader has to know beside the numbers.
local function notes(group)
    local parts, counts, message = {}, { failed = 0, pruned = 0 }, nil
    for _, record in ipairs(group.records) do
        counts[record.status] = (counts[record.status] or 0) + 1
        message = message or record.error
    end
    local many = group.expected > 1
    if counts.failed > 0 then
        parts[1] = (many and counts.failed .. " failed: " or "failed: ") .. message
    end
    if counts.pruned > 0 then
        parts[#parts + 1] = many and counts.pruned .. " ended early" or "ended early"
    end
    local missing = group.expected - #group.records
    if missing > 0 then
        parts[#parts + 1] = many and missing .. " to run" or "to run"
    end
    return table.concat(parts, "; ")
end

local function rows_of(sweep)
    local groups = sweep_table.groups(sweep)
    local metrics = sweep_table.metrics(groups)
    local head = table.move(sweep.names, 1, #sweep.names, 1, {})
    table.move(metrics, 1, #metrics, #head + 1, head)
    local rows = { head }
    for i, group in ipairs(groups) do
        local row = {}
        for k, name in ipairs(sweep.names) do
            row[k] = sweep_table.value(group.params[name])
        end
        for k, metric in ipairs(metrics) do
            row[#sweep.names + k] = result_text(group, metric)
        end
        row.notes = notes(group)
        rows[i + 1] = row
    end
    return rows, #head
end

--- The lines of the table.
---@param sweep table
---@return string[]
function sweep_table.lines(sweep)
    local rows, columns = rows_of(sweep)
    local widths = {}
    for _, row in ipairs(rows) do
        for k = 1, columns do
            widths[k] = math.max(widths[k] or 0, terminal.columns(row[k]))
        end
    end
    local lines = {}
    for i, row in ipairs(rows) do
        local cells = {}
        for k = 1, columns do
            cells[k] = row[k] .. (" "):rep(widths[k] - terminal.columns(row[k]))
        end
        cells[columns + 1] = row.notes
        lines[i] = (table.concat(cells, "  "):gsub(" +$", ""))
    end
    return lines
end

return sweep_table
