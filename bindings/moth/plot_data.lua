--- What plots are made of: lists of numbers out of tables and tensors, ranges, ticks, bins.
-- A figure is data only; plot_gnuplot.lua and plot_terminal.lua draw it:
--     figure = { title, panels = { panel, … }, columns, width, height }
--     panel.kind = "xy":      series = { { x, y, low, high, label, style } }, categories (names of x = 1, 2, …)
--     panel.kind = "heatmap": values (rows), texts, xnames, ynames, palette, limits
--     panel.kind = "images":  images (rows of numbers, or of {r, g, b}), titles, marked, columns, palette, limits
-- Numbers that are not finite are gaps.

local core = require "moth.core"
local options = require "moth.options"

local data = {}

local function fail(what, text, ...)
    options.fail(what .. " " .. text:format(...))
end

--- A Lua table, or what a tensor holds as one.
---@param value any
---@param what string  as messages name it
---@return table
function data.table_of(value, what)
    local kind = type(value)
    if kind == "userdata" or kind == "table" and getmetatable(value) ~= nil then
        local meta = debug.getmetatable(value)
        local index = type(meta) == "table" and meta.__index
        local method = (type(index) == "function" or type(index) == "table") and value.totable
        if method then
            value = method(value)
        end
    end
    if type(value) ~= "table" then
        fail(what, "must be a list or a tensor; got %s", options.show(value))
    end
    return value
end

local function shape_text(t)
    return "(" .. table.concat(t.shape, ", ") .. ")"
end

-- One column, as models predict it, is a list too.
local function column(t, what)
    local longest, n = math.max(1, table.unpack(t.shape)), 1
    for _, size in ipairs(t.shape) do
        n = n * size
    end
    if n ~= longest then
        fail(what, "must have one dimension; got a tensor of shape %s", shape_text(t))
    end
    return t:flatten()
end

--- A list of numbers, copied.
---@param value any
---@param what string
---@return number[]
function data.numbers(value, what)
    local list = {}
    if core.is_tensor(value) and #value.shape > 1 then
        value = column(value, what)
    end
    for i, x in ipairs(data.table_of(value, what)) do
        if not math.type(x) then
            fail(what, "must hold numbers; element %d is %s", i, options.show(x))
        end
        list[i] = x
    end
    if #list == 0 then
        fail(what, "must not be empty")
    end
    return list
end

--- Rows of numbers, all of the same length.
---@param value any
---@param what string
---@return number[][]
function data.matrix(value, what)
    local rows = {}
    for i, row in ipairs(data.table_of(value, what)) do
        if math.type(row) then
            fail(what, "must have rows and columns; got a list of numbers")
        end
        rows[i] = data.numbers(row, ("row %d of %s"):format(i, what))
        if #rows[i] ~= #rows[1] then
            fail(what, "must have rows of one length; row 1 has %d, row %d has %d", #rows[1], i, #rows[i])
        end
    end
    if #rows == 0 then
        fail(what, "must not be empty")
    end
    return rows
end

-- Pixels with channels: grey alone becomes a number, colours stay {r, g, b}.
local function channels(row, what)
    local pixels = {}
    for i, pixel in ipairs(row) do
        for _, number in ipairs(type(pixel) == "table" and pixel or { pixel }) do
            if not math.type(number) then
                fail(what, "must hold numbers; got %s", options.show(number))
            end
        end
        if type(pixel) == "table" then
            if #pixel ~= 1 and #pixel ~= 2 and #pixel ~= 3 and #pixel ~= 4 then
                fail(what, "must have 1 to 4 channels; got %d", #pixel)
            end
            pixel = #pixel < 3 and pixel[1] or { pixel[1], pixel[2], pixel[3] }
        end
        pixels[i] = pixel
    end
    return pixels
end

--- A picture of shape {h, w} or {h, w, c}: rows of numbers, or of {r, g, b}.
---@param value any
---@param what string
---@return table[] rows
function data.image(value, what)
    -- Before millions of numbers become tables: a data set is a likely thing to be given here.
    if core.is_tensor(value) and #value.shape ~= 2 and #value.shape ~= 3 then
        fail(what, "must be one picture, (height, width) or (height, width, channels); got a tensor of shape %s",
            shape_text(value))
    end
    local rows = data.table_of(value, what)
    if type(rows[1]) ~= "table" then
        fail(what, "must be a picture of shape {height, width} or {height, width, channels}")
    end
    local picture = {}
    for i, row in ipairs(rows) do
        picture[i] = type(row[1]) == "table" and channels(row, what) or data.numbers(row, what)
        if #picture[i] ~= #picture[1] then
            fail(what, "must have rows of one length")
        end
    end
    return picture
end

--- All numbers of nested tables as one list.
---@param value table
---@param list? table  to which they are added
---@return table list
function data.flatten(value, list)
    list = list or {}
    for _, x in ipairs(value) do
        if type(x) == "table" then
            data.flatten(x, list)
        else
            list[#list + 1] = x
        end
    end
    return list
end

--- How deep the tables of a value are nested.
---@param value any
---@return integer
function data.rank(value)
    local rank = 0
    while type(value) == "table" do
        rank, value = rank + 1, value[1]
    end
    return rank
end

--- Whether a number can be drawn.
---@param x number?
---@return boolean
function data.finite(x)
    return x ~= nil and x == x and x ~= math.huge and x ~= -math.huge
end

--- Smallest and largest finite number of several lists; nil without any.
---@param lists number[][]
---@param positive? boolean  only numbers above 0, for a logarithmic axis
---@return number? low
---@return number? high
function data.range(lists, positive)
    local low, high
    for _, list in ipairs(lists) do
        for _, x in pairs(list) do
            if data.finite(x) and (not positive or x > 0) then
                low, high = math.min(low or x, x), math.max(high or x, x)
            end
        end
    end
    return low, high
end

--- The step between ticks: 1, 2 or 5 times a power of ten, for about `count` ticks.
---@param low number
---@param high number
---@param count number
---@return number
function data.tick_step(low, high, count)
    local raw = (high - low) / math.max(count, 1)
    local power = 10 ^ math.floor(math.log(raw, 10))
    for _, factor in ipairs { 1, 2, 5 } do
        if raw <= factor * power * 1.0001 then
            return factor * power
        end
    end
    return 10 * power
end

-- 1e14 rather than 1e+14, and 1 rather than 1e0.
local function short(format, x)
    return (format:format(x):gsub("e%+?(%-?)0*(%d)", "e%1%2"):gsub("^1e0$", "1"))
end

-- Large numbers are shown by thousands and millions: 2M rather than 2e+06.
local function large_text(x, digits)
    local format = "%." .. digits .. "g"
    for _, unit in ipairs { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } } do
        if math.abs(x) >= unit[1] and math.abs(x) < 1e12 then
            return format:format(x / unit[1]) .. unit[2]
        end
    end
    return short(format, x)
end

-- Texts of numbers far from zero or close to it, with so many digits that no two are the same.
local function large_texts(list)
    local texts
    for digits = 6, 17 do
        local seen, distinct = {}, true
        texts = {}
        for i, x in ipairs(list) do
            texts[i] = large_text(x, digits)
            distinct = distinct and not seen[texts[i]]
            seen[texts[i]] = true
        end
        if distinct then
            break
        end
    end
    return texts
end

local function linear_ticks(low, high, count, integers)
    local step = data.tick_step(low, high, count)
    if integers then
        step = math.max(1, math.floor(step + 0.5))
    end
    local decimals = math.max(0, math.ceil(-math.log(step, 10) - 1e-9))
    local large = math.max(math.abs(low), math.abs(high)) >= 1e5 or decimals > 6
    local places = {}
    for i = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) do
        places[#places + 1] = i * step
    end
    local texts, ticks = large and large_texts(places), {}
    for i, x in ipairs(places) do
        ticks[i] = { x, texts and texts[i] or ("%." .. decimals .. "f"):format(x == 0 and 0 or x) }
    end
    return ticks
end

local function log_ticks(low, high, count)
    local first, last = math.ceil(math.log(low, 10) - 1e-9), math.floor(math.log(high, 10) + 1e-9)
    local stride = math.max(1, math.ceil((last - first + 1) / math.max(count, 1)))
    local ticks = {}
    local format = (first < -4 or last > 5) and "%.0e" or "%g"
    for exponent = first, last, stride do
        ticks[#ticks + 1] = { 10.0 ^ exponent, short(format, 10.0 ^ exponent) }
    end
    -- Within one decade powers of ten say too little.
    if #ticks < 2 then
        for _, factor in ipairs { 1, 2, 5 } do
            for exponent = first - 1, last + 1 do
                local x = factor * 10.0 ^ exponent
                if x >= low and x <= high and factor ~= 1 then
                    ticks[#ticks + 1] = { x, short("%g", x) }
                end
            end
        end
        table.sort(ticks, function(a, b)
            return a[1] < b[1]
        end)
    end
    return #ticks > 1 and ticks or linear_ticks(low, high, count, false)
end

--- Where an axis has ticks, and their texts.
---@param axis { low: number, high: number, log?: boolean, integers?: boolean }
---@param count number  about how many
---@return table[] ticks  {position, text}
function data.ticks(axis, count)
    if axis.log then
        return log_ticks(axis.low, axis.high, count)
    end
    return linear_ticks(axis.low, axis.high, count, axis.integers)
end

--- A range with room in it: one value, or values that differ by rounding alone, get a margin around them.
---@param low number
---@param high number
---@param log? boolean  for a logarithmic axis
---@return number low
---@return number high
function data.widened(low, high, log)
    local largest = math.max(math.abs(low), math.abs(high))
    if high - low > 1e-12 * largest then
        return low, high
    end
    local margin = low == 0 and 1 or largest / 10
    return log and low / 2 or low - margin, log and high * 2 or high + margin
end

--- An axis over the given lists: its range is never empty.
---@param lists number[][]
---@param settings { log?: boolean, limits?: number[], what: string }
---@return { low: number, high: number, log: boolean, integers: boolean }
function data.axis(lists, settings)
    local log = settings.log or false
    local low, high = data.range(lists, log)
    if settings.limits then
        low, high = settings.limits[1], settings.limits[2]
        if log and low <= 0 then
            options.fail(("plot: %slim of a logarithmic axis must be above 0; got %s"):format(settings.what,
                options.show(low)))
        end
    end
    if not low then
        options.fail(("plot: %s has no number%s to draw"):format(settings.what, log and " above 0" or ""))
    end
    low, high = data.widened(low + 0.0, high + 0.0, log)
    if high - low > 1e307 then
        options.fail(("plot: %s goes from %.3g to %.3g, which no axis can show"):format(settings.what, low, high))
    end
    local integers = true
    for _, list in ipairs(lists) do
        for _, x in pairs(list) do
            integers = integers and (x ~= x or x == math.floor(x))
        end
    end
    return { low = low, high = high, log = log, integers = integers }
end

--- Gives an axis a little room around the data, unless its limits were chosen.
---@param axis table
---@param limits? number[]
---@param share number  of its length, at each end
---@return table axis
function data.pad(axis, limits, share)
    if limits then
        return axis
    elseif axis.log then
        local factor = (axis.high / axis.low) ^ share
        axis.low, axis.high = axis.low / factor, axis.high * factor
    else
        local margin = (axis.high - axis.low) * share
        axis.low, axis.high = axis.low - margin, axis.high + margin
    end
    return axis
end

local function whole(list)
    for _, x in ipairs(list) do
        if x ~= math.floor(x) or math.abs(x) > 2.0 ^ 40 then
            return false
        end
    end
    return true
end

-- Bins of whole numbers hold as many of them each: were they cut anywhere, equally frequent classes would not look so.
local function whole_histogram(sorted, most)
    local low, high = sorted[1], sorted[#sorted]
    local width = math.ceil((high - low + 1) / most)
    local edges, counts = {}, {}
    for i = 0, math.ceil((high - low + 1) / width) do
        edges[i + 1], counts[i] = low - 0.5 + i * width, i > 0 and 0 or nil
    end
    for _, x in ipairs(sorted) do
        local bin = (x - low) // width + 1
        counts[bin] = counts[bin] + 1
    end
    return edges, counts
end

--- Counts of values in bins of one width.
---@param values number[]
---@param bins? integer  default: by the rule of Freedman and Diaconis, 5 to `most`; a bin for whole numbers
---@param most integer
---@return number[] edges  one more than bins
---@return integer[] counts
function data.histogram(values, bins, most)
    local sorted = {}
    for _, x in ipairs(values) do
        if data.finite(x) then
            sorted[#sorted + 1] = x
        end
    end
    table.sort(sorted)
    if #sorted == 0 then
        options.fail("plot.histogram: values hold no finite number")
    end
    local low, high = sorted[1], sorted[#sorted]
    if not bins and whole(sorted) then
        return whole_histogram(sorted, most)
    elseif not bins then
        local quartiles = sorted[math.ceil(0.75 * #sorted)] - sorted[math.ceil(0.25 * #sorted)]
        local width = 2 * quartiles / (#sorted) ^ (1 / 3)
        bins = width > 0 and math.ceil(math.min((high - low) / width, most)) or low == high and 5 or 10
        bins = math.max(bins, 5)
    end
    if low == high then
        low, high = low - 0.5, high + 0.5
    end
    local edges, counts = {}, {}
    for i = 0, bins do
        edges[i + 1] = low + (high - low) * i / bins
        counts[i + 1] = i < bins and 0 or nil
    end
    for _, x in ipairs(sorted) do
        local bin = math.min(math.floor((x - low) / (high - low) * bins) + 1, bins)
        counts[bin] = counts[bin] + 1
    end
    return edges, counts
end

--- The lists that all series of a panel have under some keys.
---@param panel table
---@param ... string  "x", "low"
---@return number[][]
function data.lists(panel, ...)
    local lists = {}
    for _, series in ipairs(panel.series) do
        for _, key in ipairs { ... } do
            lists[#lists + 1] = series[key]
        end
    end
    return lists
end

return data
