--- What Enter does while a chunk is typed: run it, or go on in a new line that is indented as its blocks ask.
local chunk = require "moth.chunk"
local lexer = require "moth.lexer"

local edit = {}

local STEP = 4

--- Keywords and brackets that stand as far left as the line that opened their block.
local closers = { ["end"] = true, ["until"] = true, ["else"] = true, ["elseif"] = true, ["}"] = true, [")"] = true,
    ["]"] = true }

--- How deep in blocks and brackets the end of `text` is; nil inside a string or comment of several lines, where white
--- space has a meaning. Brackets opened on one line count once.
local function depth_at_end(text)
    local lines, line, at = {}, 1, 1 -- the line of each block and bracket that is open
    for _, token in ipairs(lexer.tokens(text)) do
        if token.open then
            return nil
        end
        local _, breaks = text:sub(at, token.start):gsub("\n", "")
        line, at = line + breaks, token.start + 1
        local blocks, brackets = lexer.steps(token)
        for _ = 1, blocks + brackets do
            lines[#lines + 1] = line
        end
        for _ = -1, blocks + brackets, -1 do
            lines[#lines] = nil
        end
    end
    local depth, last = 0, nil
    for _, opened in ipairs(lines) do
        if opened ~= last then
            depth, last = depth + 1, opened
        end
    end
    return depth
end

--- The text up to the cursor; where its last line closes a block, that line goes back to where the block began.
local function dedent(before)
    local line = before:match "[^\n]*$"
    local head = before:sub(1, #before - #line)
    local indent, first = line:match "^(%s*)([%w_]+)"
    if not first then
        indent, first = line:match "^(%s*)([%]})])"
    end
    local outside = closers[first] and head ~= "" and depth_at_end(head .. indent .. first)
    if not outside then
        return before
    end
    local depth = first:find "^else" and outside - 1 or outside
    return head .. (" "):rep(math.max(0, depth) * STEP) .. line:sub(#indent + 1)
end

--- The answer to Enter.
---@param text string
---@param cursor integer bytes before the cursor
---@param pasted boolean? what comes has its own indentation
---@return string text
---@return integer cursor
---@return nil
---@return boolean run
function edit.enter(text, cursor, pasted)
    local before, after = text:sub(1, cursor), text:sub(cursor + 1)
    local run = not chunk.is_incomplete(text .. "\n")
    if run and after ~= "" then
        return text, cursor, nil, true
    end
    local depth = not pasted and depth_at_end(before) or nil
    before = depth and dedent(before) or before
    if run then
        return before, #before, nil, true
    end
    before = before .. "\n" .. (" "):rep((depth or 0) * STEP)
    return before .. after, #before, nil, false
end

return edit
