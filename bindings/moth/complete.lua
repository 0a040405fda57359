--- Completion at the prompt: variables, fields, methods, options of constructors and their values, file names.
local core = require "moth.core"
local lexer = require "moth.lexer"
local members = require "moth.members"
local pretty = require "moth.pretty"
local reference = require "moth.reference"
local style = require "moth.style"
local terminal = require "moth.terminal"

local complete = {}

---@class moth.Completion
---@field name string what is put in
---@field suffix string? put in behind it when there is nothing else
---@field shown string? in the list, instead of the name

---@class moth.Completions
---@field from integer first byte of what is replaced
---@field word string what stands there
---@field items moth.Completion[]

-- ---- what stands before the cursor ----

--- Index of the innermost bracket that is open at the end.
local function open_bracket(tokens, last)
    local depth = 0
    for i = last, 1, -1 do
        local _, step = lexer.steps(tokens[i])
        depth = depth + step
        if depth > 0 then
            return i
        end
    end
end

--- Index of the bracket that the one at token `at` closes.
local function opening_of(tokens, at)
    local depth = 0
    for i = at, 1, -1 do
        local _, step = lexer.steps(tokens[i])
        depth = depth + step
        if depth == 0 then
            return i
        end
    end
end

--- Members of what the call that ends at token `at` returns, as the reference has it; nil where it says nothing.
local function returned_names(tokens, at, session)
    local token = tokens[at]
    if not token or not token.text:find "^[)}]$" then
        return nil
    end
    local callee = (opening_of(tokens, at) or 1) - 1
    local name = tokens[callee]
    if not name or name.kind ~= "name" then
        return nil
    end
    local entry = reference.find(members.resolve(tokens, callee, session))
    local mark = tokens[callee - 1]
    if not entry and mark and mark.text == ":" then
        -- A chain of calls: tensors mostly give tensors.
        local names = returned_names(tokens, callee - 2, session)
        entry = names and reference.find(names.class .. ":" .. name.text)
    end
    local class = entry and ((entry.returns or ""):match "^moth%.(%u%a*)" or entry.name:match "^(layers)%." and "Layer"
        or entry.name:match "^(optimizers)%." and "Optimizer")
    return class and reference.members(class)
end

--- What help knows of the function whose argument table is open at token `last`, and the index of the table's brace.
local function open_call(tokens, last, session)
    local brace = open_bracket(tokens, last)
    if not brace or tokens[brace].text ~= "{" then
        return nil
    end
    local callee = brace - 1
    local before = tokens[callee]
    if before and (before.text == "(" or before.text == ",") then
        local parenthesis = open_bracket(tokens, callee)
        if not parenthesis or tokens[parenthesis].text ~= "(" then
            return nil
        end
        callee = parenthesis - 1
    end
    if not tokens[callee] or tokens[callee].kind ~= "name" then
        return nil
    end
    local entry = reference.find(members.resolve(tokens, callee, session))
    if not entry and tokens[callee - 1] and tokens[callee - 1].text == ":" then
        entry = reference.find_method(members.resolve(tokens, callee - 2, session), tokens[callee].text)
    end
    return entry, brace
end

local function option_named(entry, name)
    for _, option in ipairs(entry and entry.options or {}) do
        if option.name == name then
            return option
        end
    end
end

-- ---- candidates ----

local function suffix_of(value)
    if type(value) == "function" then
        local entry = reference.find(value)
        return entry and entry.is_constructor and " { " or "("
    end
    return nil
end

local function member_items(value, only_functions)
    local items = {}
    for _, name in ipairs(members.names(value)) do
        local field = members.get(value, name)
        if not only_functions or type(field) == "function" then
            items[#items + 1] = { name = name, suffix = suffix_of(field) }
        end
    end
    return items
end

--- The same for an object that is not there yet.
local function class_items(names, only_methods)
    local items = {}
    for _, name in ipairs(names) do
        local entry = reference.find(names.class .. ":" .. name)
        if entry or not only_methods then
            items[#items + 1] = { name = name, suffix = entry and "(" or nil }
        end
    end
    return items
end

--- Names that the unfinished chunk itself declares.
local function declared_names(tokens, into)
    for i, token in ipairs(tokens) do
        if token.kind == "keyword" and (token.text == "local" or token.text == "for") then
            local at = i + 1
            while tokens[at] and tokens[at].kind == "name" do
                into[tokens[at].text] = true
                at = tokens[at + 1] and tokens[at + 1].text == "," and at + 2 or at + 1
            end
        elseif token.text == "function" then
            local at = i + 1
            while tokens[at] and tokens[at].text ~= ")" do
                if tokens[at].kind == "name" then
                    into[tokens[at].text] = true
                end
                at = at + 1
            end
        end
    end
end

local function variable_items(tokens, session)
    local names, items = {}, {}
    declared_names(tokens, names)
    for _, name in ipairs(session:names()) do
        names[name] = true
    end
    for name in next, _G do
        if type(name) == "string" then
            names[name] = true
        end
    end
    for name in pairs(names) do
        items[#items + 1] = { name = name, suffix = suffix_of(session:lookup(name)) }
    end
    for word in pairs(lexer.keywords) do
        items[#items + 1] = { name = word }
    end
    return items
end

local function option_items(entry, tokens, brace)
    local given, items = {}, {}
    for i = brace + 1, #tokens - 1 do
        if tokens[i].kind == "name" and tokens[i + 1].text == "=" then
            given[tokens[i].text] = true
        end
    end
    for _, option in ipairs(entry.options) do
        if not given[option.name] then
            local default = option.default ~= nil and " = " .. option.default or ""
            items[#items + 1] = { name = option.name, suffix = " = ", shown = option.name .. default }
        end
    end
    return items
end

local function choice_items(choices, quote)
    local items = {}
    for _, choice in ipairs(choices or {}) do
        local text = type(choice) == "string" and quote and '"' .. choice .. '"' or tostring(choice)
        items[#items + 1] = { name = text, suffix = not quote and '"' or nil }
    end
    return items
end

local function file_items(word, quote)
    local directory = word:match "^.*/" or ""
    local items = {}
    local path = directory == "" and "." or directory:gsub("^~", os.getenv "HOME" or "~")
    for _, name in ipairs(core.list_directory(path)) do
        if name:sub(1, 1) ~= "." or word:sub(#directory + 1, #directory + 1) == "." then
            items[#items + 1] = { name = directory .. name, suffix = not name:find "/$" and quote or nil, shown = name }
        end
    end
    return items
end

--- Inside a string: values of an option, names for help and require, else files.
local function string_items(tokens, word, session)
    local last = #tokens - 1
    local before, name = tokens[last], tokens[last - 1]
    local quote = tokens[#tokens].text:sub(1, 1)
    if before and before.text == "=" and name and name.kind == "name" then
        local option = option_named((open_call(tokens, last, session)), name.text)
        if option and option.choices then
            return choice_items(option.choices)
        end
    end
    local callee = before and (before.text == "(" and last - 1 or last)
    if callee and tokens[callee] and tokens[callee].kind == "name" then
        if tokens[callee].text == "help" then
            return choice_items(reference.names())
        end
        local entry = reference.find(members.resolve(tokens, callee, session))
        local first = entry and entry.options and entry.options[1]
        if first and first.choices then
            return choice_items(first.choices)
        end
    end
    return file_items(word, quote)
end

--- The items that begin as the word does; where there are none, upper and lower case are the same.
local function matching(items, word)
    local hidden = word:sub(1, 1) ~= "_"
    for _, fold in ipairs { function(s) return s end, string.lower } do
        local found = {}
        for _, item in ipairs(items) do
            if fold(item.name):sub(1, #word) == fold(word) and not (hidden and item.name:sub(1, 1) == "_") then
                found[#found + 1] = item
            end
        end
        if #found > 0 then
            table.sort(found, function(a, b)
                return a.name < b.name
            end)
            return found
        end
    end
    return {}
end

--- What could stand at the cursor.
---@param text string
---@param cursor integer bytes before it
---@param session moth.Session
---@return moth.Completions?
function complete.candidates(text, cursor, session)
    local tokens = lexer.tokens(text:sub(1, cursor))
    local last = tokens[#tokens]
    if last and last.kind == "string" and last.open then
        local word = last.text:sub(2)
        return { from = last.start + 1, word = word, items = string_items(tokens, word, session) }
    elseif last and last.stop == cursor and (last.kind == "comment" or last.kind == "number") then
        return nil
    end
    local at, word = #tokens, ""
    if last and last.stop == cursor and (last.kind == "name" or last.kind == "keyword") then
        at, word = #tokens - 1, last.text
    end
    local before = tokens[at]
    local found = { from = cursor - #word + 1, word = word }
    if before and (before.text == "." or before.text == ":") then
        local value = members.resolve(tokens, at - 1, session)
        local names = value == nil and returned_names(tokens, at - 1, session)
        found.items = names and class_items(names, before.text == ":") or member_items(value, before.text == ":")
        return found
    end
    local entry, brace = open_call(tokens, at, session)
    if entry and entry.options and before.text:find "^[{,;]$" then
        found.items = option_items(entry, tokens, brace)
        -- A variable is meant only where no option begins so.
        if #matching(found.items, word) > 0 then
            return found
        end
    elseif entry and before.text == "=" and word == "" then
        local option = option_named(entry, tokens[at - 1] and tokens[at - 1].text)
        found.items = choice_items(option and option.choices, true)
        if #found.items > 0 then
            return found
        end
    end
    found.items = table.move(variable_items(tokens, session), 1, 1000, #(found.items or {}) + 1, found.items or {})
    return found
end

-- ---- what Tab does ----

local function common_prefix(items)
    local prefix = items[1].name
    for _, item in ipairs(items) do
        while item.name:sub(1, #prefix) ~= prefix do
            prefix = prefix:sub(1, utf8.offset(prefix, -1) and utf8.offset(prefix, -1) - 1 or #prefix - 1)
        end
    end
    return prefix
end

--- The names in columns.
local function listing(items, columns, rows)
    local shown, width = {}, 0
    for i, item in ipairs(items) do
        shown[i] = item.shown or item.name
        width = math.max(width, pretty.visible(shown[i]) + 2)
    end
    local across = math.max(1, columns // width)
    local most = math.max(4, rows - 4) * across
    local extra = #shown - most
    local count = extra > 0 and most or #shown
    local down = (count + across - 1) // across
    local lines = {}
    for row = 1, down do
        local cells = {}
        for i = row, count, down do
            cells[#cells + 1] = shown[i] .. (" "):rep(width - pretty.visible(shown[i]))
        end
        lines[row] = style.paint("c", (table.concat(cells):gsub("%s+$", "")))
    end
    if extra > 0 then
        lines[#lines + 1] = style.paint("c", ("… %d more"):format(extra))
    end
    return table.concat(lines, "\n")
end

--- What Tab does: the new text, the new cursor, and what to list; all nil where nothing fits.
---@param text string
---@param cursor integer
---@param session moth.Session
---@return string?
---@return integer?
---@return string?
function complete.tab(text, cursor, session)
    local before = text:sub(1, cursor)
    if before:match "[^\n]*$":find "^%s*$" then
        return before .. "    " .. text:sub(cursor + 1), cursor + 4
    end
    local found = complete.candidates(text, cursor, session)
    local items = found and matching(found.items, found.word) or {}
    if #items == 0 then
        return nil
    end
    local head, rest = text:sub(1, found.from - 1), text:sub(cursor + 1)
    if #items == 1 then
        local suffix = items[1].suffix or ""
        -- What stands there already is not put in twice.
        suffix = rest:find("^%s*" .. suffix:gsub("%p", "%%%0"):gsub("%s+", "%%s*")) and "" or suffix
        local new = head .. items[1].name .. suffix
        return new .. rest, #new
    end
    local prefix = common_prefix(items)
    local new = head .. (#prefix >= #found.word and prefix or found.word)
    return new .. rest, #new, listing(items, terminal.width(), terminal.height())
end

return complete
