--- "did you mean": what a person may have wanted where a name stands for nothing.
local lexer = require "moth.lexer"
local members = require "moth.members"
local options = require "moth.options"

local hints = {}

local function variable_names(session)
    local names = session:names()
    for name in next, _G do
        if type(name) == "string" then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    return names
end

local function suggest(name, known, what)
    local nearest = options.nearest(name, known)
    return nearest and nearest ~= name and ("%s; did you mean '%s'?"):format(what, nearest) or nil
end

local function for_variable(name, session)
    return suggest(name, variable_names(session), ("there is no variable '%s'"):format(name))
end

--- The first place in the text where `name` is looked up in something that lacks it.
local function for_member(name, text, session)
    local tokens = lexer.tokens(text)
    for i, token in ipairs(tokens) do
        local mark = tokens[i - 1] and tokens[i - 1].text
        local of_name = i > 2 and tokens[i - 2].kind == "name" and (mark == "." or mark == ":")
        if of_name and token.text == name then
            local owner = members.resolve(tokens, i - 2, session)
            local kind = type(owner)
            if (kind == "table" or kind == "userdata" or kind == "string") and members.get(owner, name) == nil then
                local what = ("'%s' has no '%s'"):format(tokens[i - 2].text, name)
                return suggest(name, members.names(owner), what)
            end
        end
    end
end

--- A hint for an error message about a nil value.
---@param message string
---@param text string the chunk
---@param session moth.Session
---@return string?
function hints.for_error(message, text, session)
    local kind, name = message:match "nil value %((%a+) '([^']*)'%)"
    if kind == "global" then
        return for_variable(name, session)
    elseif kind == "field" or kind == "method" then
        return for_member(name, text, session)
    end
end

--- A hint for an expression that is nil because a name in it is mistyped.
---@param text string
---@param session moth.Session
---@return string?
function hints.for_nil(text, session)
    local tokens = lexer.tokens(text)
    for i, token in ipairs(tokens) do
        local ok = token.kind == "name"
        if i % 2 == 0 then
            ok = token.text == "."
        end
        if not ok then
            return nil
        end
    end
    local first, last = tokens[1], tokens[#tokens]
    if #tokens == 1 then
        return not session.cells[first.text] and for_variable(first.text, session) or nil
    elseif session:lookup(first.text) == nil then
        return for_variable(first.text, session)
    end
    return for_member(last.text, text, session)
end

return hints
