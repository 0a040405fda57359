--- help(x): the page of the reference on a function, a class, a module or a name.
local files = require "moth.files"
local highlight = require "moth.highlight"
local members = require "moth.members"
local options = require "moth.options"
local reference = require "moth.reference"
local style = require "moth.style"
local terminal = require "moth.terminal"
local debug = debug

local help = {}

--- Options as they are written in a constructor, as many as fit on a line.
local function constructor_text(entry, width)
    local parts, used = {}, #entry.name + 8
    for i, option in ipairs(entry.options or {}) do
        local text = option.name .. (option.default and " = " .. option.default or "")
        used = used + #text + 2
        if used > width and i > 1 then
            parts[#parts + 1] = "…"
            break
        end
        parts[#parts + 1] = text
    end
    return #parts > 0 and entry.name .. " { " .. table.concat(parts, ", ") .. " }" or entry.name .. " {}"
end

--- How an entry is called: "layers.Dense { units, activation = "linear", … }", "Tensor:sum([dims], [keepdim])".
---@param entry moth.HelpEntry
---@param width integer
---@return string
function help.signature(entry, width)
    local parts = {}
    if entry.is_constructor then
        return constructor_text(entry, width)
    elseif entry.fields then
        return entry.name
    end
    for _, parameter in ipairs(entry.parameters or {}) do
        parts[#parts + 1] = parameter.optional and "[" .. parameter.name .. "]" or parameter.name
    end
    return entry.name .. "(" .. table.concat(parts, ", ") .. ")"
end

--- Text cut into lines of at most `width` bytes at white space, each with the indentation in front.
local function wrap(text, indent, width)
    local lines, current = {}, ""
    for word in text:gmatch "%S+" do
        if #current > 0 and #current + 1 + #word > width - #indent then
            lines[#lines + 1] = indent .. current
            current = word
        else
            current = #current > 0 and current .. " " .. word or word
        end
    end
    lines[#lines + 1] = #current > 0 and indent .. current or nil
    return table.concat(lines, "\n")
end

local function choices_text(choices)
    local shown = {}
    for i, choice in ipairs(choices) do
        shown[i] = type(choice) == "string" and '"' .. choice .. '"' or tostring(choice)
    end
    return "one of " .. table.concat(shown, ", ")
end

--- One line for each option: name, kind or default, what it does.
local function table_text(rows, width)
    local columns = { 1, 1 }
    for _, row in ipairs(rows) do
        for i = 1, 2 do
            columns[i] = math.max(columns[i], #row[i])
        end
    end
    local lines = {}
    for _, row in ipairs(rows) do
        local head = ("    %-" .. columns[1] .. "s  %-" .. math.min(columns[2], 28) .. "s  "):format(row[1], row[2])
        local text = wrap(row[3], (" "):rep(#head), math.max(width, #head + 30))
        lines[#lines + 1] = ((head .. text:sub(#head + 1)):gsub("%s+$", ""))
    end
    return table.concat(lines, "\n")
end

local function option_rows(list)
    local rows = {}
    for i, option in ipairs(list) do
        local value = option.default and "= " .. option.default or option.required and "(required)" or option.kind or ""
        local about = {}
        if option.default or option.required then
            about[#about + 1] = option.kind
        end
        about[#about + 1] = option.choices and not option.is_table and choices_text(option.choices) or nil
        about[#about + 1] = option.doc
        rows[i] = { option.name, value, table.concat(about, "; ") }
    end
    return rows
end

local function parameter_rows(list)
    local rows = {}
    for i, parameter in ipairs(list) do
        rows[i] = { parameter.name, parameter.kind or "", parameter.doc or "" }
    end
    return rows
end

--- The page of one entry.
---@param entry moth.HelpEntry
---@param width integer
---@return string
function help.page(entry, width)
    local parts = { wrap(help.signature(entry, width), "", width) }
    parts[1] = style.paint("h", parts[1])
    local function add(text)
        parts[#parts + 1] = text
    end
    if entry.doc and entry.doc ~= "" then
        for paragraph in (entry.doc .. "\n\n"):gmatch "(.-)\n\n+" do
            add(paragraph:find "^%s%s%s%s" and highlight.text(paragraph) or wrap(paragraph, "  ", width))
        end
    end
    if entry.parameters and #entry.parameters > 0 and not entry.is_constructor then
        add("  arguments\n" .. table_text(parameter_rows(entry.parameters), width))
    end
    if entry.fields then
        add("  fields\n" .. table_text(parameter_rows(entry.fields), width))
    end
    if entry.options and #entry.options > 0 then
        add("  options\n" .. table_text(option_rows(entry.options), width))
    end
    if entry.returns then
        add("  returns\n" .. wrap(entry.returns, "    ", width))
    end
    if entry.example then
        add("  example\n    " .. highlight.text(entry.example):gsub("\n", "\n    "))
    end
    return table.concat(parts, "\n\n")
end

--- Names below a module: "layers" has "layers.Dense", …
local function below(prefix)
    local found = {}
    for _, name in ipairs(reference.names()) do
        local rest = name:sub(1, #prefix + 1):find "[.:]$" and name:sub(1, #prefix) == prefix and name:sub(#prefix + 2)
        if rest and not rest:find "[.:]" then
            found[#found + 1] = rest
        end
    end
    return found
end

--- An overview: the modules and what stands in them.
local function overview(width)
    local groups, order = {}, {}
    for _, name in ipairs(reference.names()) do
        local group = name:match "^(.*)[.:]" or "moth"
        if not groups[group] then
            groups[group] = {}
            order[#order + 1] = group
        end
        table.insert(groups[group], name:match "[^.:]*$")
    end
    local parts = {}
    for _, group in ipairs(order) do
        parts[#parts + 1] = style.paint("h", group) .. "\n" .. wrap(table.concat(groups[group], " "), "    ", width)
    end
    parts[#parts + 1] = 'help(layers.Dense) or help "layers.Dense" says more; so does ?layers.Dense at the prompt.'
    return table.concat(parts, "\n")
end

local function class_name(value)
    local name = reference.class_of(value)
    return name:sub(1, 1):upper() .. name:sub(2)
end

local function title(text)
    return style.paint("h", text)
end

--- What stands in a module, a line each.
local function listing(prefix, width)
    local names, size = below(prefix), 0
    for _, name in ipairs(names) do
        size = math.max(size, #name)
    end
    local lines = {}
    for i, name in ipairs(names) do
        local gist = reference.gist(prefix .. "." .. name)
        lines[i] = terminal.clip(("    %-" .. size .. "s  %s"):format(name, gist), width):gsub("%s+$", "")
    end
    return table.concat(lines, "\n")
end

local function members_page(what, width)
    local names = members.names(what)
    local class = reference.class_of(what)
    return #names > 0 and title(class) .. "\n" .. wrap(table.concat(names, " "), "    ", width) or nil
end

--- The name of a module of moth ("layers"), or of what Lua's own libraries hold ("string.rep").
local function name_of(what, where)
    for _, name in ipairs(members.names(where)) do
        if rawequal(rawget(where, name), what) then
            return name
        end
    end
end

local function lua_name(what)
    for name in pairs(_G) do
        if rawequal(_G[name], what) then
            return name
        end
    end
    for _, library in ipairs { "string", "table", "math", "io", "os", "utf8", "coroutine", "debug", "package" } do
        local name = name_of(what, _G[library])
        if name then
            return library .. "." .. name
        end
    end
end

--- The comment lines right above line `first` of a file.
local function comment_above(path, first)
    local ok, text = pcall(files.read, path)
    local lines, block = {}, {}
    for line in (ok and text or ""):gmatch "([^\n]*)\n" do
        lines[#lines + 1] = line
    end
    for i = first - 1, 1, -1 do
        local comment = (lines[i] or ""):match "^%s*%-%-+%s?(.*)$"
        if not comment then
            break
        end
        table.insert(block, 1, comment)
    end
    return table.concat(block, "\n")
end

--- A function that is none of moth's: how it is called, and where it was made.
local function function_page(f, width)
    local info = debug.getinfo(f, "Su")
    local name = lua_name(f)
    if info.what == "C" then
        return name and ("%s is Lua's own: https://www.lua.org/manual/5.4/manual.html#pdf-%s"):format(name, name)
    end
    local parameters = {}
    for i = 1, info.nparams do
        parameters[i] = debug.getlocal(f, i)
    end
    parameters[#parameters + 1] = info.isvararg and "..." or nil
    local page = title(("%s(%s)"):format(name or "function", table.concat(parameters, ", ")))
    local comment = info.source:sub(1, 1) == "@" and comment_above(info.source:sub(2), info.linedefined) or ""
    return page .. (comment ~= "" and "\n\n" .. wrap(comment, "  ", width) or "")
        .. ("\n\n  defined at %s:%d"):format(info.short_src, info.linedefined)
end

--- Help on a name that no entry has: a module, or the last part of other names.
local function name_page(what, width)
    local module = what:gsub("^moth%.", "")
    if #below(module) > 0 then
        return title(what) .. "\n" .. listing(module, width)
    end
    local found = reference.ending(what)
    if #found == 1 then
        return help.page(reference.find(found[1]), width)
    elseif #found > 1 then
        return title(what) .. "\n" .. wrap(table.concat(found, " "), "    ", width)
    end
    local nearest = options.nearest(what, reference.names())
    return ("no help on '%s'%s"):format(what, nearest and ("; did you mean '%s'?"):format(nearest) or "")
end

--- The help on anything: a name, a function or object of moth, a module; without argument an overview.
---@param what any
---@return string
function help.text(what)
    local width = math.min(terminal.width(), 100)
    if what == nil then
        return overview(width)
    end
    local moth = require "moth"
    if what == moth then
        return overview(width)
    end
    local entry = reference.find(what)
    if entry then
        local page = help.page(entry, width)
        return #below(entry.name) > 0 and page .. "\n\n" .. listing(entry.name, width) or page
    elseif type(what) == "string" then
        return name_page(what, width)
    end
    local module = type(what) == "table" and name_of(what, moth)
    if module then
        return name_page(module, width)
    elseif type(what) == "function" then
        return function_page(what, width) or "no help on a function"
    end
    local class = reference.find(class_name(what))
    return class and help.text(class.name) or members_page(what, width) or "no help on a " .. type(what)
end

return help
