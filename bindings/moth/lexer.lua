--- Cuts Lua text into tokens. Serves the REPL: colours, completion, indentation, locals that stay. Never fails: text
--- that is not finished gives tokens that say so.
local lexer = {}

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch "%a+" do
    keywords[word] = true
end
lexer.keywords = keywords

---@class moth.Token
---@field kind "keyword"|"name"|"number"|"string"|"comment"|"op"
---@field text string
---@field start integer first byte
---@field stop integer last byte
---@field open boolean? a string or comment that does not end

--- Last byte of a long bracket that starts at `start` ("[[" or "[==["), and whether it ends; nil where there is none.
local function long_bracket(text, start)
    local level = text:match("^%[(=*)%[", start)
    if not level then
        return nil
    end
    local _, stop = text:find("]" .. level .. "]", start, true)
    return stop or #text, stop ~= nil
end

--- Position of the last byte of a short string that starts at `start`, and whether it ends.
local function short_string(text, start)
    local quote, at = text:sub(start, start), start + 1
    while at <= #text do
        local char = text:sub(at, at)
        if char == quote then
            return at, true
        elseif char == "\n" then
            return at - 1, false
        elseif char == "\\" then
            -- \z skips line breaks that follow
            local _, skipped = text:find("^\\z%s*", at)
            at = skipped or at + 1
        end
        at = at + 1
    end
    return #text, false
end

local double = {
    ["=="] = true,
    ["~="] = true,
    ["<="] = true,
    [">="] = true,
    ["//"] = true,
    ["::"] = true,
    [".."] = true,
    ["<<"] = true,
    [">>"] = true,
}

local function operator(text, at)
    if text:sub(at, at + 2) == "..." then
        return at + 2
    end
    local pair = text:sub(at, at + 1)
    return double[pair] and at + 1 or at
end

--- One token that starts at `at`, which is no white space: its kind, last byte, and whether it is finished.
local function read(text, at)
    local char = text:sub(at, at)
    if char:find "[%a_]" then
        local _, stop = text:find("^[%w_]+", at)
        return keywords[text:sub(at, stop)] and "keyword" or "name", stop, true
    elseif text:find("^%.?%d", at) then
        local exponent = text:find("^0[xX]", at) and "[pP]" or "[eE]"
        local _, stop = text:find("^[%x.xXpP]*", at)
        local _, behind = text:find("^[+-][%x.]*", stop + 1)
        if behind and text:sub(stop, stop):find(exponent) then
            stop = behind
        end
        local _, letters = text:find("^[%w_.]*", stop + 1)
        return "number", letters, true
    elseif text:find("^%-%-", at) then
        local stop, finished = long_bracket(text, at + 2)
        if stop then
            return "comment", stop, finished
        end
        return "comment", (text:find("\n", at, true) or #text + 1) - 1, true
    elseif char == '"' or char == "'" then
        return "string", short_string(text, at)
    end
    local stop, finished = long_bracket(text, at)
    if stop then
        return "string", stop, finished
    end
    return "op", operator(text, at), true
end

---@param text string
---@return moth.Token[]
function lexer.tokens(text)
    local tokens, at = {}, 1
    while true do
        at = text:find("%S", at)
        if not at then
            return tokens
        end
        local kind, stop, finished = read(text, at)
        tokens[#tokens + 1] = { kind = kind, text = text:sub(at, stop), start = at, stop = stop,
            open = not finished or nil }
        at = stop + 1
    end
end

local block_step = { ["function"] = 1, ["do"] = 1, ["if"] = 1, ["repeat"] = 1, ["end"] = -1, ["until"] = -1 }
local bracket_step = { ["("] = 1, ["{"] = 1, ["["] = 1, [")"] = -1, ["}"] = -1, ["]"] = -1 }

--- How far a token changes the depth of blocks and of brackets.
---@param token moth.Token
---@return integer blocks
---@return integer brackets
function lexer.steps(token)
    return token.kind == "keyword" and block_step[token.text] or 0, token.kind == "op" and bracket_step[token.text] or 0
end

return lexer
