--- Colours for Lua text: a style for each byte, as the line editor takes them, and whole coloured texts for help.
local lexer = require "moth.lexer"
local style = require "moth.style"

local highlight = {}

local MAX_SIZE = 50000 -- beyond, looking for tokens at each key would be felt

local styles = { keyword = "k", number = "n", string = "s", comment = "c" }
local constants = { ["nil"] = true, ["true"] = true, ["false"] = true }

local pairs_of = { ["("] = ")", ["["] = "]", ["{"] = "}" }

--- The two tokens of the pair of brackets of which one stands just before the cursor.
local function matching(tokens, cursor)
    local stack = {}
    for _, token in ipairs(tokens) do
        if token.kind == "op" and pairs_of[token.text] then
            stack[#stack + 1] = token
        elseif token.kind == "op" and token.text:find "^[%)%]}]$" then
            local opening = table.remove(stack)
            if opening and pairs_of[opening.text] ~= token.text then
                return nil
            end
            if opening and (token.stop == cursor or opening.stop == cursor) then
                return opening, token
            end
        end
    end
end

--- One character of the palette for each byte of `text`, a space for none.
---@param text string
---@param cursor integer? bytes before the cursor; its bracket and the one that belongs to it are marked
---@return string? nil for a text too long to look at
function highlight.classes(text, cursor)
    if #text > MAX_SIZE then
        return nil
    end
    local tokens, parts, at = lexer.tokens(text), {}, 1
    local opening, closing = matching(tokens, cursor or -1)
    for _, token in ipairs(tokens) do
        local class = styles[token.kind] or " "
        if constants[token.text] then
            class = "n"
        elseif token == opening or token == closing then
            class = "m"
        end
        parts[#parts + 1] = (" "):rep(token.start - at) .. class:rep(token.stop - token.start + 1)
        at = token.stop + 1
    end
    parts[#parts + 1] = (" "):rep(#text - at + 1)
    return table.concat(parts)
end

--- The text with colours, where they are on.
---@param text string
---@return string
function highlight.text(text)
    local parts, at = {}, 1
    for _, token in ipairs(lexer.tokens(text)) do
        local class = constants[token.text] and "n" or styles[token.kind]
        parts[#parts + 1] = text:sub(at, token.start - 1)
        parts[#parts + 1] = class and style.paint(class, token.text) or token.text
        at = token.stop + 1
    end
    parts[#parts + 1] = text:sub(at)
    return table.concat(parts)
end

return highlight
