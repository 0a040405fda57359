--- What stands behind names that are typed, and what a value offers by name: fields of tables, fields and methods of
--- moth's objects. For completion and for hints.
local core = require "moth.core"
local debug = debug

local members = {}

local function class_name(value)
    local meta = debug.getmetatable(value)
    return type(meta) == "table" and rawget(meta, "__name") or nil
end

--- value[name], or nil where looking fails.
---@param value any
---@param name any
---@return any
function members.get(value, name)
    local ok, found = pcall(function()
        return value[name]
    end)
    return ok and found or nil
end

--- Value of the expression that ends at token `at`, where that can be known without running anything: names, fields and
--- literal indices.
---@param tokens moth.Token[]
---@param at integer
---@param session moth.Session
---@return any
function members.resolve(tokens, at, session)
    local token = tokens[at]
    local before = tokens[at - 1]
    if not token then
        return nil
    elseif token.kind == "name" then
        if before and (before.text == "." or before.text == ":") then
            return members.get(members.resolve(tokens, at - 2, session), token.text)
        end
        return session:lookup(token.text)
    elseif token.kind == "string" then
        return ""
    elseif token.text == ")" and before and before.kind == "string" then
        return ""
    elseif token.text == "]" and tokens[at - 2] and tokens[at - 2].text == "[" then
        local key = before.kind == "number" and tonumber(before.text)
            or before.kind == "string" and before.text:match "^[\"'](.*)[\"']$"
        return key and members.get(members.resolve(tokens, at - 3, session), key)
    end
    return nil
end

local function add_keys(t, into)
    for key in next, t do
        if type(key) == "string" and key:find "^[%a_][%w_]*$" then
            into[key] = true
        end
    end
end

--- Keys of a table that makes its entries when they are asked for.
local function add_lazy_keys(value, into)
    pcall(function()
        for key in pairs(value) do
            if type(key) == "string" and key:find "^[%a_][%w_]*$" then
                into[key] = true
            end
        end
    end)
end

--- The fields and methods of a class in C: annotated the ones, in moth.core the others.
local function add_class(value, into)
    local name = class_name(value)
    local methods = type(name) == "string" and core[name:gsub("^moth%.", "") .. "_methods"]
    if type(methods) == "table" then
        add_keys(methods, into)
        for _, field in ipairs(require("moth.reference").fields(name)) do
            into[field.name] = true
        end
    end
end

--- Names of all that `value` offers, sorted.
---@param value any
---@return string[]
function members.names(value)
    local found = {}
    local seen = 0
    if type(value) == "table" then
        add_keys(value, found)
    end
    local meta = debug.getmetatable(value)
    if type(meta) == "table" and rawget(meta, "__pairs") then
        add_lazy_keys(value, found)
    end
    add_class(value, found)
    -- A chain of __index tables; the limit is for one that bites its tail.
    while type(meta) == "table" and seen < 20 do
        local index = rawget(meta, "__index")
        if type(index) ~= "table" then
            break
        end
        add_keys(index, found)
        meta, seen = debug.getmetatable(index), seen + 1
    end
    local names = {}
    for name in pairs(found) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

return members
