--- Compiles what is typed at the prompt so that top-level locals stay: `local x = 1` is still there on the next line.
---
--- Each such local lives in a cell, an upvalue that later chunks are joined to. In a chunk the word `local` of a
--- top-level declaration is blanked out, so it becomes an assignment to the cell; lines and columns stay as typed. So
--- locals shadow globals, functions keep seeing the variables they captured, and what was assigned before an error is
--- kept. Two things differ from a file: declaring a name again assigns the variable that is there, and <const> is not
--- enforced. A to-be-closed variable stays a real local, closed at the end of its chunk.
local lexer = require "moth.lexer"
local debug, load = debug, load

local chunk = {}

---@class moth.Session
---@field cells table<string, {get: (fun(): any), set: fun(value: any)}>
local Session = {}
Session.__index = Session

---@return moth.Session
function chunk.session()
    return setmetatable({ cells = {} }, Session)
end

local function new_cell(value)
    return {
        get = function()
            return value
        end,
        set = function(new)
            value = new
        end,
    }
end

--- A declaration at top level, `local` being token `at`: its names, what it is replaced by, and whether to leave it.
local function declaration(tokens, at)
    local names, edits, keep = {}, { { tokens[at].start, tokens[at].stop, "" } }, false
    local token = tokens[at + 1]
    if not token then
        return nil
    elseif token.text == "function" then
        return tokens[at + 2] and { tokens[at + 2].text }, edits, false
    end
    local i = at + 1
    while tokens[i] and tokens[i].kind == "name" do
        names[#names + 1] = tokens[i].text
        if tokens[i + 1] and tokens[i + 1].text == "<" and tokens[i + 3] then
            keep = keep or tokens[i + 2].text == "close"
            edits[#edits + 1] = { tokens[i + 1].start, tokens[i + 3].stop, "" }
            i = i + 3
        end
        if not (tokens[i + 1] and tokens[i + 1].text == ",") then
            break
        end
        i = i + 2
    end
    local next_token = tokens[i + 1]
    if tokens[i] and not (next_token and next_token.text == "=") then
        edits[#edits + 1] = { tokens[i].stop + 1, tokens[i].stop, "=nil;" }
    end
    return names, edits, keep
end

--- Replaces bytes [from, to] by text, padded to the same length where it takes the place of something.
local function apply(text, edits)
    local parts, at = {}, 1
    for _, edit in ipairs(edits) do
        local from, to, new = edit[1], edit[2], edit[3]
        parts[#parts + 1] = text:sub(at, from - 1)
        parts[#parts + 1] = new .. (" "):rep(to - from + 1 - #new)
        at = to + 1
    end
    parts[#parts + 1] = text:sub(at)
    return table.concat(parts)
end

--- The text with top-level declarations as assignments, and the names declared.
local function open_locals(text)
    local code = {}
    for _, token in ipairs(lexer.tokens(text)) do
        if token.kind ~= "comment" then
            code[#code + 1] = token
        end
    end
    local depth, declared, edits = 0, {}, {}
    for i, token in ipairs(code) do
        if depth == 0 and token.text == "local" and token.kind == "keyword" then
            local names, changes, keep = declaration(code, i)
            if names and not keep then
                table.move(changes, 1, #changes, #edits + 1, edits)
                table.move(names, 1, #names, #declared + 1, declared)
            end
        end
        depth = depth + lexer.steps(token)
    end
    return apply(text, edits), declared, code
end

--- Names of cells that the chunk mentions, sorted, as "local a, b ".
local function header(cells, code)
    local seen, names = {}, {}
    for _, token in ipairs(code) do
        if token.kind == "name" and cells[token.text] and not seen[token.text] then
            seen[token.text] = true
            names[#names + 1] = token.text
        end
    end
    table.sort(names)
    return #names > 0 and "local " .. table.concat(names, ",") .. " " or ""
end

--- `return f(x)` would be a tail call, after which errors cannot say the line any more: an expression is an argument.
local PASS = "_moth_pass"

local function pass(...)
    return ...
end

local function join(f, cells)
    local i = 1
    while true do
        local name = debug.getupvalue(f, i)
        if not name then
            return f
        elseif name == PASS then
            debug.setupvalue(f, i, pass)
        elseif cells[name] then
            debug.upvaluejoin(f, i, cells[name].get, 1)
        end
        i = i + 1
    end
end

--- Which of two syntax errors to show: that of the text as a statement, or as an expression.
local function better_message(text, as_statement, as_expression)
    local first = lexer.tokens(text)[1]
    local starts_expression = first and (first.kind == "number" or first.kind == "string" or first.text:find "^[{#~-]$")
    return starts_expression and as_expression or as_statement
end

--- Whether text lacks its end rather than being wrong.
---@param text string
---@return boolean
function chunk.is_incomplete(text)
    if load("return " .. text, "=stdin", "t") then
        return false
    end
    local f, message = load(text, "=stdin", "t")
    if f then
        return false
    end
    local _, expression_message = load("return " .. text, "=stdin", "t")
    return message:find "<eof>$" ~= nil or expression_message:find "<eof>$" ~= nil
end

---@class moth.Chunk
---@field run fun(...): ...
---@field is_silent boolean ends with a semicolon: its value is not shown

--- Compiles text; nil and a message where it is wrong.
---@param text string
---@param name string? for messages: "=stdin", "@script.lua"
---@return moth.Chunk?
---@return string? message
function Session:compile(text, name)
    name = name or "=stdin"
    local expression = load("return " .. text, name, "t")
    if not expression then
        local f, message = load(text, name, "t")
        if not f then
            local _, other = load("return " .. text, name, "t")
            return nil, better_message(text, message, other)
        end
    end
    local opened, declared, code = open_locals(text)
    for _, local_name in ipairs(declared) do
        -- `_` stays the last result; a local starts as the global that it shadows, for `local print = print`.
        if local_name ~= "_" and not self.cells[local_name] then
            self.cells[local_name] = new_cell(rawget(_G, local_name))
        end
    end
    local last = code[#code]
    local source = header(self.cells, code)
    if expression then
        local bare = last and last.text == ";" and opened:sub(1, last.start - 1) or opened
        source = ("%slocal %s return function(...) return %s(%s\n) end"):format(source, PASS, PASS, bare)
    else
        source = source .. "return function(...) " .. opened .. "\nend"
    end
    local outer, message = load(source, name, "t")
    if not outer then
        return nil, message
    end
    return { run = join(outer(), self.cells), is_silent = last ~= nil and last.text == ";" }
end

---@param name string
---@return any
function Session:get(name)
    local cell = self.cells[name]
    return cell and cell.get()
end

--- What a name stands for at the prompt: a local of the session, else a global.
---@param name string
---@return any
function Session:lookup(name)
    if self.cells[name] then
        return self:get(name)
    end
    return rawget(_G, name)
end

---@return string[] names of the locals, sorted
function Session:names()
    local names = {}
    for name in pairs(self.cells) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

return chunk
