--- Plots of a sweep: one parameter as a line with a range, or as points with ranges where its values are names; two as
-- a heat map. Trials that ended early do not count.

local options = require "moth.options"
local plot = require "moth.plot"
local sweep_table = require "moth.sweep_table"

local sweep_plot = {}

local function check_parameter(sweep, name)
    for _, known in ipairs(sweep.names) do
        if known == name then
            return name
        end
    end
    options.fail("sweep:plot: " .. options.unknown("no parameter named", name, sweep.names))
end

local function done_records(sweep)
    local list = {}
    for _, record in ipairs(sweep:records()) do
        list[#list + 1] = record.status == "done" and record or nil
    end
    return list
end

-- Records by their value of a parameter, the values in order: numbers by size, others as the sweep has them.
local function by_value(records, name)
    local groups, index, numeric = {}, {}, true
    for _, record in ipairs(records) do
        local value = record.params[name]
        local key = sweep_table.value(value)
        if not index[key] then
            groups[#groups + 1] = { value = value, key = key, records = {} }
            index[key] = groups[#groups]
        end
        table.insert(index[key].records, record)
        numeric = numeric and math.type(value) ~= nil
    end
    if numeric then
        table.sort(groups, function(a, b)
            return a.value < b.value
        end)
    end
    return groups, numeric
end

-- Values that grow by factors are seen best on a logarithmic axis: steps that hardly differ, over two decades.
local function grows_by_factors(groups)
    local first, last = groups[1].value, groups[#groups].value
    if #groups < 3 or first <= 0 or last / first < 50 then
        return false
    end
    local middle = groups[(#groups + 1) // 2].value
    return middle < (first + last) / 4
end

local function label(name)
    return (name:gsub("_", " "))
end

local function merged(args, settings)
    for key, value in pairs(settings or {}) do
        args[key] = value
    end
    return args
end

local function over_one(sweep, name, metric, file, settings)
    local groups, numeric = by_value(done_records(sweep), check_parameter(sweep, name))
    local args = { x = {}, y = {}, low = {}, high = {}, xlabel = label(name), ylabel = label(metric), file = file }
    local ranged = false
    for _, group in ipairs(groups) do
        local middle, low, high = sweep_table.summary(group.records, metric)
        if middle then
            local at = #args.x + 1
            args.x[at], args.y[at] = numeric and group.value or group.key, middle
            args.low[at], args.high[at] = low, high
            ranged = ranged or low ~= high
        end
    end
    if ranged then
        args.ylabel = args.ylabel .. " (median and range)"
    else
        args.low, args.high = nil, nil
    end
    args.xlog = numeric and (sweep.log[name] or grows_by_factors(groups)) or nil
    -- Draws at random are points: a line between them would say nothing.
    args.style = (not numeric or sweep.random) and "points" or "line"
    return plot(merged(args, settings))
end

local function over_two(sweep, names, metric, file, settings)
    local records = done_records(sweep)
    local columns = by_value(records, check_parameter(sweep, names[1]))
    local rows = by_value(records, check_parameter(sweep, names[2]))
    local values, xnames, ynames = {}, {}, {}
    for j, column in ipairs(columns) do
        xnames[j] = column.key
    end
    for i, row in ipairs(rows) do
        ynames[i], values[i] = row.key, {}
        for j, column in ipairs(columns) do
            local cell = {}
            for _, record in ipairs(row.records) do
                cell[#cell + 1] = sweep_table.value(record.params[names[1]]) == column.key and record or nil
            end
            values[i][j] = sweep_table.summary(cell, metric) or 0 / 0
        end
    end
    return plot.heatmap(merged({ values = values, xnames = xnames, ynames = ynames, xlabel = label(names[1]),
        ylabel = label(names[2]), title = label(metric), file = file }, settings))
end

--- Draws a result over one or two parameters (`sweep:plot`).
---@param sweep table
---@param parameter string|string[]
---@param metric string
---@param file? string
---@param settings? table
---@return string? file
function sweep_plot.plot(sweep, parameter, metric, file, settings)
    local names = type(parameter) == "table" and parameter or { parameter }
    if #names == 1 then
        return over_one(sweep, names[1], metric, file, settings)
    elseif #names == 2 then
        return over_two(sweep, names, metric, file, settings)
    end
    options.fail(("sweep:plot: takes one parameter or two; got %d"):format(#names))
end

return sweep_plot
