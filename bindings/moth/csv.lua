--- Tables in text, for moth.datasets.csv: which columns are features, which targets, and what words mean.

local core = require "moth.core"
local options = require "moth.options"

local csv = {}

---@class moth.CsvOptions
---@field target? string|integer|table  the column (name, or place from 1, from the end if negative) of y, or several
---@field columns? table  the columns of x, in this order; default: all others that are no target
---@field header? boolean  is the first row one of names? Default: it is when none of its fields is a number
---@field delimiter? string  what stands between fields (",")
---@field skip? integer  lines before the table (0)
---@field dtype? "float32"|"int32"|"uint8"  of x
---@field missing? number  what stands for a field that is empty, NA or NaN; without it such a field is an error
---@field classes? string[]  the words of the target in the order of their ids, as another table has them

local dtypes = { "float32", "int32", "uint8" }

local function one_character(value)
    local fine = type(value) == "string" and #value == 1 and not value:find '["\r\n%z]'
    return fine and value or nil, "one character, and neither a quote nor the end of a line"
end

local spec = {
    name = "datasets.csv", positionals = 0,
    { "target", "string|integer|table" },
    { "columns", "table" },
    { "header", "boolean" },
    { "delimiter", one_character, default = "," },
    { "skip", "integer", default = 0, min = 0 },
    { "dtype", dtypes, default = "float32" },
    { "missing", "number", nan = true },
    { "classes", options.names },
}

local function fail(path, message, ...)
    options.fail(("datasets.csv: %s: %s"):format(path, message:format(...)))
end

-- The places of the columns that `wanted` names.
local function places(path, wanted, names, count)
    local list, seen = {}, {}
    for i, name in ipairs(type(wanted) == "table" and wanted or { wanted }) do
        local place = math.type(name) and math.tointeger(name)
        if place then
            place = place < 0 and count + 1 + place or place
            if place < 1 or place > count then
                fail(path, "there is no column %s; it has %d", options.show(name), count)
            end
        elseif not names then
            fail(path, "there is no row of names to find column %s in; give its place, or header = true",
                options.show(name))
        else
            for k, other in ipairs(names) do
                if place and other == name then
                    fail(path, "columns %d and %d are both named %s; give the place", place, k, options.show(name))
                end
                place = place or other == name and k or nil
            end
            if not place then
                fail(path, "%s", options.unknown("there is no column", name, names))
            end
        end
        if seen[place] then
            fail(path, "column %s is wanted twice", options.show(name))
        end
        list[i], seen[place] = place, true
    end
    return list, seen
end

-- Names that are not there are given; words get the ids of their sorted order.
local function class_ids(path, words, given)
    local ids, classes, list = {}, given, {}
    if not classes then
        classes = {}
        for _, word in ipairs(words) do
            if not ids[word] then
                ids[word] = true
                classes[#classes + 1] = word
            end
        end
        table.sort(classes)
    end
    for i, word in ipairs(classes) do
        ids[word] = i - 1
    end
    for i, word in ipairs(words) do
        list[i] = ids[word] or fail(path, "%s", options.unknown("there is no class", word, classes))
    end
    return core.tensor(list, { dtype = "int32" }), classes
end

local function trim(text)
    return text:match "^[ \t]*(.-)[ \t]*$"
end

-- y of one column: numbers as they are, words as class ids.
local function one_target(path, file, place, first, rows, read)
    local kind, missing = file:kind(place, first, rows)
    if kind ~= "text" and not read.classes then
        local dtype = kind == "integer" and (not missing or math.tointeger(read.missing)) and "int32" or "float32"
        return file:numbers(first, { place }, dtype, read.missing):reshape(rows)
    elseif missing then
        fail(path, "column %d, the target, holds words, and some are missing", place)
    end
    local words = file:texts(place, first, rows)
    for i, word in ipairs(words) do
        words[i] = trim(word)
    end
    return class_ids(path, words, read.classes)
end

-- Is the first row one of names?
local function is_header(file, columns)
    for place = 1, columns do
        local kind = file:kind(place, 0, 1)
        if kind == "integer" or kind == "number" then
            return false
        end
    end
    return true
end

--- See moth.datasets.csv.
---@param path string
---@param args? moth.CsvOptions
---@return table
function csv.read(path, args)
    if type(path) ~= "string" then
        options.fail("datasets.csv: path must be a text; got " .. options.show(path))
    end
    local read = options.read(spec, args)
    if read.classes and (read.target == nil or type(read.target) == "table") then
        fail(path, "classes are the words of one target, and there is none")
    end
    local file <close> = core.open_csv(path, read.delimiter, read.skip)
    local rows, count = file:size()
    local header = read.header
    if header == nil then
        header = is_header(file, count)
    end
    local names, first = nil, header and 1 or 0
    if header then
        names = file:texts(nil, 0, 1)
        for i, name in ipairs(names) do
            names[i] = trim(name)
        end
    end
    rows = rows - first
    if rows == 0 then
        fail(path, "there are names, but no row of data")
    end
    local targets, is_target = places(path, read.target, names, count)
    local columns = read.columns and places(path, read.columns, names, count)
    if not columns then
        columns = {}
        for place = 1, count do
            if not is_target[place] then
                columns[#columns + 1] = place
            end
        end
    end
    local result = { x = file:numbers(first, columns, read.dtype, read.missing) }
    if #targets == 1 and type(read.target) ~= "table" then
        result.y, result.classes = one_target(path, file, targets[1], first, rows, read)
    elseif #targets > 0 then
        result.y = file:numbers(first, targets, "float32", read.missing)
    end
    if names then
        result.columns = {}
        for i, place in ipairs(columns) do
            result.columns[i] = names[place]
        end
    end
    return result
end

return csv
