--- Shows values so that a person can read them: tables nested and aligned, abridged when large, safe with cycles. What
--- has a text of its own (tensors, models, histories: __tostring) shows that.
local style = require "moth.style"
local debug, utf8 = debug, utf8

local pretty = {}

local MAX_DEPTH, MAX_ITEMS, MAX_LINES, INDENT = 8, 60, 400, "    "
-- A tensor inside a table that takes more lines than this is shown by its type and shape.
local MAX_INNER_LINES = 8

--- Columns that a text takes, without colours. Combining and wide characters count as one.
local function visible(text)
    local plain = text:gsub("\27%[[%d;]*m", "")
    return utf8.len(plain) or #plain
end
pretty.visible = visible

local escapes = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }

--- A string as Lua source that fits on one line.
---@param text string
---@return string
function pretty.quote(text)
    local quoted = text:gsub('[%c"\\\127]', function(char)
        return escapes[char] or ("\\%03d"):format(char:byte())
    end)
    if not utf8.len(quoted) then
        quoted = quoted:gsub("[\128-\255]", function(char)
            return ("\\%03d"):format(char:byte())
        end)
    end
    return '"' .. quoted .. '"'
end

local function function_text(f)
    local described = pretty.describe and pretty.describe(f)
    if described then
        return described
    end
    local info = debug.getinfo(f, "S")
    return info.what == "C" and "function" or ("function <%s:%d>"):format(info.short_src, info.linedefined)
end

local scalars = {
    string = function(value)
        return style.paint("s", pretty.quote(value))
    end,
    number = function(value)
        return style.paint("n", tostring(value))
    end,
    boolean = function(value)
        return style.paint("k", tostring(value))
    end,
    ["nil"] = function()
        return style.paint("k", "nil")
    end,
    ["function"] = function(value)
        return style.paint("f", function_text(value))
    end,
}

local function has_own_text(value)
    local meta = debug.getmetatable(value)
    return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

local function is_plain_table(value)
    return type(value) == "table" and not has_own_text(value)
end

--- Text of what is no plain table; may have several lines.
local function scalar(value)
    local show = scalars[type(value)]
    if show then
        return show(value)
    end
    local ok, text = pcall(tostring, value)
    return ok and text or ("<%s: error in __tostring>"):format(type(value))
end

local function key_text(key)
    if type(key) == "string" and key:find "^[%a_][%w_]*$" then
        return key
    end
    return "[" .. (is_plain_table(key) and tostring(key) or scalar(key)) .. "]"
end

local type_order = { number = 1, string = 2, boolean = 3 }

local function key_before(a, b)
    local rank_a, rank_b = type_order[type(a)] or 4, type_order[type(b)] or 4
    if rank_a ~= rank_b then
        return rank_a < rank_b
    elseif rank_a <= 2 then
        return a < b
    end
    return tostring(a) < tostring(b)
end

--- Entries in the order shown: the list, then the other keys sorted. Only raw access: looking runs no code.
local function entries(t)
    local list, keys = rawlen(t), {}
    for key in next, t do
        if not (math.type(key) == "integer" and key >= 1 and key <= list) then
            keys[#keys + 1] = key
        end
    end
    table.sort(keys, key_before)
    return list, keys
end

---@class moth.Printer
---@field path table<table, boolean> tables that are being shown
---@field lines integer number of lines so far
local Printer = {}
Printer.__index = Printer

--- The table on one line, or nil where it does not fit into `room` columns.
function Printer:inline(t, room, depth)
    local list, keys = entries(t)
    if list + #keys > MAX_ITEMS then
        return nil
    end
    local parts, width = {}, 4
    local function add(prefix, value)
        local text = self:short(value, room - width - #prefix, depth + 1)
        if not text or text:find "\n" then
            return false
        end
        parts[#parts + 1] = prefix .. text
        width = width + visible(parts[#parts]) + 2
        return width - 2 <= room
    end
    for i = 1, list do
        if not add("", rawget(t, i)) then
            return nil
        end
    end
    for _, key in ipairs(keys) do
        if not add(key_text(key) .. " = ", rawget(t, key)) then
            return nil
        end
    end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

--- A value on one line, or nil.
function Printer:short(value, room, depth)
    if not is_plain_table(value) then
        return scalar(value)
    elseif next(value) == nil then
        return "{}"
    elseif self.path[value] then
        return style.paint("c", "<cycle>")
    elseif depth > MAX_DEPTH then
        return style.paint("c", "{…}")
    end
    self.path[value] = true
    local text = self:inline(value, room, depth)
    self.path[value] = nil
    return text
end

local function right_aligned(text, width)
    return (" "):rep(width - visible(text)) .. text
end

--- A list of scalars in columns that fill the lines.
local function filled(cells, room)
    local width = 0
    for _, cell in ipairs(cells) do
        width = math.max(width, visible(cell))
    end
    local columns = math.max(1, (room + 1) // (width + 2))
    local lines = {}
    for first = 1, #cells, columns do
        local row = {}
        for i = first, math.min(first + columns - 1, #cells) do
            row[#row + 1] = right_aligned(cells[i], width)
        end
        lines[#lines + 1] = table.concat(row, ", ") .. ","
    end
    return lines
end

--- Rows of a list of lists, all of one length and of scalars, with aligned columns; nil where it is no such thing.
local function matrix(t, count)
    local columns = is_plain_table(t[1]) and rawlen(t[1]) or 0
    if columns == 0 or columns > MAX_ITEMS then
        return nil
    end
    local widths, rows = {}, {}
    for i = 1, count do
        local row = rawget(t, i)
        if not is_plain_table(row) or rawlen(row) ~= columns or next(row, columns) ~= nil then
            return nil
        end
        rows[i] = {}
        for j = 1, columns do
            local value = rawget(row, j)
            if type(value) == "table" or type(value) == "userdata" then
                return nil
            end
            rows[i][j] = scalar(value)
            widths[j] = math.max(widths[j] or 0, visible(rows[i][j]))
        end
    end
    for i, row in ipairs(rows) do
        for j = 1, columns do
            row[j] = right_aligned(row[j], widths[j])
        end
        rows[i] = "{ " .. table.concat(row, ", ") .. " },"
    end
    return rows
end

--- Whether the first `count` items are all of a kind that is shown in columns.
local function all_numbers(t, count)
    for i = 1, count do
        local kind = type(rawget(t, i))
        if kind ~= "number" and kind ~= "boolean" then
            return false
        end
    end
    return count > 0
end

--- Lines of the list part of a table that does not fit on one line.
function Printer:list_lines(t, list, room, depth)
    local count = math.min(list, MAX_ITEMS)
    local lines
    if all_numbers(t, count) then
        local cells = {}
        for i = 1, count do
            cells[i] = scalar(rawget(t, i))
        end
        lines = filled(cells, room)
    else
        lines = matrix(t, count)
        if not lines or visible(lines[1]) > room then
            lines = {}
            for i = 1, count do
                lines[i] = self:value(rawget(t, i), room - 1, depth + 1) .. ","
            end
        end
    end
    if list > count then
        lines[#lines + 1] = style.paint("c", ("… %d more"):format(list - count))
    end
    return lines
end

local function longest_key(keys, count)
    local width = 0
    for i = 1, count do
        width = math.max(width, visible(key_text(keys[i])))
    end
    return math.min(width, 24)
end

--- The table over several lines.
function Printer:block(t, room, depth)
    local list, keys = entries(t)
    local inner = room - #INDENT
    local lines = list > 0 and self:list_lines(t, list, inner, depth) or {}
    local count = math.min(#keys, MAX_ITEMS)
    local width = longest_key(keys, count)
    for i = 1, count do
        local key = key_text(keys[i])
        local gap = (" "):rep(width - visible(key))
        lines[#lines + 1] = key .. gap .. " = " .. self:value(rawget(t, keys[i]), inner - width - 4, depth + 1) .. ","
    end
    if #keys > count then
        lines[#lines + 1] = style.paint("c", ("… %d more"):format(#keys - count))
    end
    self.lines = self.lines + #lines
    return "{\n" .. INDENT .. table.concat(lines, "\n"):gsub("\n", "\n" .. INDENT) .. "\n}"
end

function Printer:value(value, room, depth)
    if not is_plain_table(value) then
        local text = scalar(value)
        local _, breaks = text:gsub("\n", "")
        local summary = breaks >= MAX_INNER_LINES and text:match "}  (%w+ %([%d, ]+%))$"
        return summary and style.paint("c", "tensor " .. summary) or breaks > 0 and "\n" .. text or text
    end
    local text = self:short(value, room, depth)
    if text then
        return text
    elseif self.lines > MAX_LINES then
        return style.paint("c", "{…}")
    end
    self.path[value] = true
    text = self:block(value, room, depth)
    self.path[value] = nil
    return text
end

--- Functions that show a value of a class alone: by its __name, to a text.
pretty.views = {} ---@type table<string, fun(value: any): string>

--- A longer text for a value shown alone, by its class.
local function view_of(value)
    local meta = debug.getmetatable(value)
    local name = type(meta) == "table" and rawget(meta, "__name")
    local view = type(name) == "string" and pretty.views[name]
    return view and view(value)
end

--- The value as text of about `width` columns.
---@param value any
---@param width integer? 80
---@return string
function pretty.format(value, width)
    if type(value) == "string" and value:find "\n" then
        return value
    elseif not is_plain_table(value) then
        return view_of(value) or scalar(value)
    end
    return setmetatable({ path = {}, lines = 0 }, Printer):value(value, width or 80, 1)
end

return pretty
