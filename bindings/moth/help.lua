--- help(x): what moth's functions take and do. An entry says it for one name:
---
---     { name = "layers.Dense", doc = text, example = code, returns = text, is_constructor = boolean,
---       parameters = { { name, kind, doc, optional } },  the arguments of a function
---       options = { { name, kind, default, doc, choices, required } } }  the keys of a constructor's or option table
---
--- Entries come from the annotations in moth's own Lua sources, from the specs that constructors in Lua declare
--- (moth.options) and from the tables of the engine (moth.core.entries, the ops). They are gathered at the first question.
local annotations = require "moth.annotations"
local core = require "moth.core"
local highlight = require "moth.highlight"
local members = require "moth.members"
local options = require "moth.options"
local style = require "moth.style"
local terminal = require "moth.terminal"

local help = {}

---@class moth.HelpOption
---@field name string
---@field kind string
---@field default string? as it would be written
---@field doc string?
---@field choices string[]?
---@field required boolean?

---@class moth.HelpEntry
---@field name string
---@field doc string?
---@field example string?
---@field returns string?
---@field is_constructor boolean?
---@field parameters table[]?
---@field options moth.HelpOption[]?

local by_name, by_value ---@type table<string, moth.HelpEntry>?, table<any, moth.HelpEntry>

--- Adds what is new of `entry` to what is known under its name.
local function merge(name, entry)
    local known = by_name[name] or { name = name }
    by_name[name] = known
    for key, value in pairs(entry) do
        if known[key] == nil then
            known[key] = value
        end
    end
    return known
end

-- ---- public names ----

local function is_documented(value)
    local kind = type(value)
    return kind == "function" or kind == "table" or kind == "userdata"
end

--- "Tensor" for the methods in moth.core.tensor_methods.
local function class_of_methods(key)
    local class = key:match "^([%w_]+)_methods$"
    return class and class:sub(1, 1):upper() .. class:sub(2)
end

--- Names by value, for all that is reached by moth.x, moth.x.y and as a method of moth's objects.
local function public_names()
    local names = {}
    local function add(value, name)
        if is_documented(value) and not names[value] then
            names[value] = name
        end
    end
    local moth = require "moth"
    local first = members.names(moth)
    for _, name in ipairs(first) do
        add(members.get(moth, name), name)
    end
    for _, name in ipairs(first) do
        local part = members.get(moth, name)
        if type(part) == "table" and names[part] == name then
            for _, inner in ipairs(members.names(part)) do
                add(members.get(part, inner), name .. "." .. inner)
            end
        end
    end
    for key, methods in pairs(core) do
        local class = class_of_methods(key)
        for name, method in pairs(class and methods or {}) do
            add(method, class .. ":" .. name)
        end
    end
    return names
end

-- ---- specs of constructors in Lua ----

local function option_from_spec(option)
    local kind = option[2] or "any"
    local choices = type(kind) == "table" and kind or nil
    return {
        name = option[1],
        kind = not choices and type(kind) == "string" and kind:gsub("|", " or ") or nil,
        default = option.default ~= nil and options.show(option.default) or nil,
        choices = choices,
        required = option.required,
        doc = option.doc,
    }
end

local function add_spec(declared, spec, name, is_constructor)
    local list = {}
    for i, option in ipairs(spec) do
        list[i] = option_from_spec(option)
    end
    by_value[declared] = merge(name, { options = list, is_constructor = is_constructor })
end

--- The spec by which a public function reads its options: it holds it in an upvalue called spec, or <function>_spec.
local function spec_of(f, name)
    local own, found = name:match "[^.:]*$" .. "_spec", nil
    for i = 1, 255 do
        local upvalue, value = debug.getupvalue(f, i)
        if not upvalue then
            return found
        elseif (upvalue == own or upvalue == "spec") and type(value) == "table" and type(value.name) == "string" then
            found = (upvalue == own or not found) and value or found
        end
    end
    return found
end

local function add_specs(names)
    for constructor, spec in pairs(options.declared()) do
        add_spec(constructor, spec, spec.name, true)
    end
    for value, name in pairs(names) do
        local spec = type(value) == "function" and not by_value[value] and spec_of(value, name)
        if spec then
            add_spec(value, spec, name, debug.getinfo(value, "u").nparams == 1 or nil)
        end
    end
end

-- ---- tables of the engine ----

--- "activation" for "activations": what the kind of an option is called.
local function singular(plural)
    return (plural:gsub("sses$", "ss"):gsub("([^s])s$", "%1"))
end

local function names_in(plural)
    local names = {}
    for i, entry in ipairs(core.entries(plural)) do
        names[i] = entry.name
    end
    table.sort(names)
    return names
end

--- A default as it would be written: the engine keeps it as a text.
local function default_text(option)
    local text = option.default
    if not text or tonumber(text) or text == "true" or text == "false" or text == "nil" then
        return text
    elseif text:find "^[%d%s.-]+$" then
        return "{ " .. text:gsub("%s+", ", ") .. " }"
    end
    return '"' .. text .. '"'
end

local function options_from_engine(list, choices_of, into)
    for _, option in ipairs(list or {}) do
        local choices = option.choices and {} or choices_of[option.kind]
        for word in (option.choices or ""):gmatch "%S+" do
            choices[#choices + 1] = word
        end
        into[#into + 1] = {
            name = option.name,
            kind = option.kind,
            default = default_text(option),
            -- The names in a whole table are for completion; help would only repeat them.
            choices = choices,
            is_table = not option.choices,
            required = option.required,
            doc = option.doc,
        }
    end
    return into
end

local function add_engine_tables()
    local moth, choices_of, plurals = require "moth", {}, {}
    for plural in pairs(require "moth.catalog") do
        if pcall(core.entries, plural) then
            plurals[#plurals + 1] = plural
            choices_of[singular(plural)] = names_in(plural)
        end
    end
    table.sort(plurals)
    for _, plural in ipairs(plurals) do
        local entries = core.entries(plural)
        for _, entry in ipairs(entries) do
            local list = options_from_engine(entry.options, choices_of, {})
            list = options_from_engine(entries.common, choices_of, list)
            local value = rawget(moth[plural], entry.name)
            if value ~= nil then
                by_value[value] = merge(plural .. "." .. entry.name, {
                    doc = entry.doc, options = list, is_constructor = true,
                })
            end
        end
    end
end

-- ---- annotations ----

--- Whether a module offers anything to users, and its table.
local function public_module(name, names)
    local ok, module = pcall(require, name)
    if not ok or type(module) ~= "table" then
        return nil
    elseif names[module] then
        return module
    end
    for _, value in next, module do
        if names[value] then
            return module
        end
    end
    return nil
end

--- The public name of what an annotation stands above, nil for what is moth's own business.
local function public_name(annotation, names, modules, class_of)
    if annotation.is_method then
        local class = class_of_methods(annotation.owner:match "^core%.([%w_]+)$" or "")
            or class_of[annotation.module .. ":" .. annotation.owner]
        return class and class .. ":" .. annotation.name
    end
    if modules[annotation.module] == nil then
        modules[annotation.module] = public_module(annotation.module, names) or false
    end
    local module = modules[annotation.module]
    local value = module and annotation.owner and rawget(module, annotation.name)
    local entry = value and by_value[value]
    return entry and entry.name or value and names[value]
end

--- The options of a function are the fields of the class that its last parameter is of.
local function options_of(annotation, fields_of)
    for _, parameter in ipairs(annotation.parameters) do
        local fields = fields_of[parameter.kind:gsub("[?|].*", "")]
        if fields then
            return fields
        end
    end
end

local function add_annotations(names)
    local found, classes = annotations.read(core.sources())
    local class_of, fields_of, modules = {}, {}, {}
    for _, class in ipairs(classes) do
        local name = class.name:gsub("^moth%.", "")
        class_of[class.module .. ":" .. tostring(class.variable)] = class_of_methods(class.methods or "")
            or (core[name:lower() .. "_methods"] or names[name]) and name
        fields_of[class.name] = #class.fields > 0 and class.fields or nil
    end
    for _, annotation in ipairs(found) do
        local name = public_name(annotation, names, modules, class_of)
        if name then
            merge(name, {
                doc = annotation.doc,
                example = annotation.example,
                returns = annotation.returns,
                parameters = annotation.parameters,
                options = options_of(annotation, fields_of),
            })
        end
    end
end

-- ---- gathering ----

local function gather()
    by_name, by_value = {}, {}
    local names = public_names()
    add_specs(names)
    add_engine_tables()
    add_annotations(names)
    for value, name in pairs(names) do
        by_value[value] = by_value[value] or by_name[name]
    end
end

local function name_of_class(value)
    local meta = debug.getmetatable(value)
    local name = type(meta) == "table" and rawget(meta, "__name")
    return type(name) == "string" and name:gsub("^moth%.", "") or type(value)
end

--- What is known of a value of moth, or of a name.
---@param what any
---@return moth.HelpEntry?
function help.find(what)
    if what == nil then
        return nil
    elseif not by_name then
        gather()
    end
    if type(what) ~= "string" then
        return by_value[what]
    end
    local name = what:gsub("^moth%.", "")
    return by_name[name] or by_name[(name:gsub("^tensor[.:]", "Tensor:"))] or by_name[(name:gsub("%.([^.]*)$", ":%1"))]
end

--- What is known of the method of that name of an object.
---@param object any
---@param name string
---@return moth.HelpEntry?
function help.find_method(object, name)
    local class = name_of_class(object)
    return help.find(class .. ":" .. name) or help.find(class:sub(1, 1):upper() .. class:sub(2) .. ":" .. name)
end

--- All names, sorted.
---@return string[]
function help.names()
    if not by_name then
        gather()
    end
    local names = {}
    for name in pairs(by_name) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

-- ---- showing ----

--- How an entry is called: "layers.Dense { units, activation = … }", "Tensor:sum(dim, keepdim)".
---@param entry moth.HelpEntry
---@return string
function help.signature(entry)
    local parts = {}
    if entry.is_constructor then
        for _, option in ipairs(entry.options or {}) do
            parts[#parts + 1] = option.name .. (option.default and " = " .. option.default or "")
        end
        return #parts > 0 and entry.name .. " { " .. table.concat(parts, ", ") .. " }" or entry.name .. " {}"
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
        shown[i] = '"' .. choice .. '"'
    end
    return "one of " .. table.concat(shown, ", ")
end

--- One line for each option: name, kind or default, what it does.
local function table_text(rows, width)
    local columns = { 0, 0 }
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
    local parts = { wrap(help.signature(entry), "", width) }
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
    for _, name in ipairs(help.names()) do
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
    for _, name in ipairs(help.names()) do
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

local function members_page(what, width)
    local names = members.names(what)
    local class = name_of_class(what)
    return #names > 0 and style.paint("h", class) .. "\n" .. wrap(table.concat(names, " "), "    ", width) or nil
end

--- The help on anything: a name, a function or object of moth, a module; without argument an overview.
---@param what any
---@return string
function help.text(what)
    local width = math.min(terminal.width(), 100)
    if what == nil then
        return overview(width)
    end
    local entry = help.find(what)
    if entry then
        local list = below(entry.name)
        local page = help.page(entry, width)
        return #list > 0 and page .. "\n\n" .. wrap(table.concat(list, " "), "    ", width) or page
    end
    if type(what) == "string" then
        local list = below((what:gsub("^moth%.", "")))
        if #list > 0 then
            return style.paint("h", what) .. "\n" .. wrap(table.concat(list, " "), "    ", width)
        end
        local nearest = options.nearest(what, help.names())
        return ("no help on '%s'%s"):format(what, nearest and ("; did you mean '%s'?"):format(nearest) or "")
    end
    return members_page(what, width) or "no help on a " .. type(what)
end

return help
