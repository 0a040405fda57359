--- The reference: what moth's functions take and do, for help, completion and editors. An entry says it for one name:
---
---     { name = "layers.Dense", doc = text, example = code, returns = text, is_constructor = boolean,
---       parameters = { { name, kind, doc, optional } },  the arguments of a function (fields: of a class)
---       options = { { name, kind, default, doc, choices, required } } }  the keys of a constructor's or option table
---
--- Entries come from the annotations in moth's own Lua sources, from the specs that constructors in Lua declare
--- (moth.options) and from the tables of the engine (moth.core). They are gathered at the first question.
local annotations = require "moth.annotations"
local core = require "moth.core"
local examples = require "moth.examples"
local members = require "moth.members"
local option_docs = require "moth.option_docs"
local options = require "moth.options"

local reference = {}

---@class moth.HelpOption
---@field name string
---@field kind string
---@field default string? as it would be written
---@field doc string?
---@field choices string[]?
---@field required boolean?
---@field position integer? from 1, where it can come without its name

---@class moth.HelpEntry
---@field name string
---@field doc string?
---@field example string?
---@field returns string?
---@field is_constructor boolean?
---@field parameters table[]?
---@field fields table[]? of a class
---@field options moth.HelpOption[]?

local fields_of = {} ---@type table<string, table[]> fields by class, "moth.Tensor"
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
        local value = members.get(moth, name)
        -- moth.exp is described as the method; functions first of all (moth.where) have an example of their own.
        if value ~= core.tensor_methods[name] or examples.named[name] then
            add(value, name)
        end
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
        local class = type(methods) == "table" and class_of_methods(key)
        for _, name in ipairs(class and members.names(methods) or {}) do
            add(methods[name], class .. ":" .. name)
        end
    end
    return names
end

-- ---- specs of constructors in Lua ----

local function option_doc(option, owner)
    return option.doc or option_docs[owner .. "." .. option.name] or option_docs[option.name]
end

local function option_from_spec(option, position, owner)
    local kind = option[2] or "any"
    local choices = type(kind) == "table" and kind or nil
    return {
        name = option[1],
        kind = not choices and type(kind) == "string" and kind:gsub("|", " or ") or nil,
        default = option.default ~= nil and options.show(option.default) or nil,
        choices = choices,
        required = option.required,
        position = position,
        doc = option_doc({ name = option[1], doc = option.doc }, owner),
    }
end

local function add_spec(declared, spec, name, is_constructor)
    local list = {}
    for i, option in ipairs(spec) do
        list[i] = option_from_spec(option, i <= (spec.positionals or #spec) and i or nil, name)
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

--- How a module of moth is called that can be (moth.plot, moth.sweep).
local function call_of(value)
    local meta = type(value) == "table" and getmetatable(value)
    return type(meta) == "table" and rawget(meta, "__call") or nil
end

local function add_specs(names)
    for constructor, spec in pairs(options.declared()) do
        add_spec(constructor, spec, spec.name, true)
    end
    for value, name in pairs(names) do
        local call = call_of(value)
        local f = call or type(value) == "function" and value
        local spec = f and not by_value[value] and spec_of(f, name)
        if spec then
            add_spec(value, spec, name, call ~= nil or debug.getinfo(value, "u").nparams == 1 or nil)
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

local function options_from_engine(list, choices_of, into, owner)
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
            position = option.position,
            doc = option_doc(option, owner),
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
            local owner = plural .. "." .. entry.name
            local list = options_from_engine(entry.options, choices_of, {}, owner)
            list = options_from_engine(entries.common, choices_of, list, owner)
            local value = rawget(moth[plural], entry.name)
            if value ~= nil then
                by_value[value] = merge(owner, {
                    doc = entry.doc, options = list, is_constructor = true, example = examples.of(plural, entry.name),
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
    local whole = package.loaded[annotation.module]
    if type(whole) == "function" then
        -- A module that is one function, which is called as its file is.
        return annotation.module == "moth." .. annotation.name and names[whole] or nil
    elseif annotation.owner == "moth" then
        return names[members.get(require "moth", annotation.name)]
    elseif modules[annotation.module] == nil then
        modules[annotation.module] = public_module(annotation.module, names) or false
    end
    local module = modules[annotation.module]
    local value = module and rawget(module, annotation.name)
    local entry = value and by_value[value]
    return entry and entry.name or value and names[value]
end

--- The options of a function are the fields of the class that its last parameter is of.
local function options_of(annotation)
    for _, parameter in ipairs(annotation.parameters) do
        local class = parameter.kind:gsub("[?|].*", "")
        if class:find "Options$" and fields_of[class] then
            return fields_of[class]
        end
    end
end

local function add_annotations(names)
    local found, classes = annotations.read(core.sources())
    local class_of, modules = {}, {}
    for _, class in ipairs(classes) do
        local name = class.name:gsub("^moth%.", "")
        class_of[class.module .. ":" .. tostring(class.variable)] = class_of_methods(class.methods or "")
            or (core[name:lower() .. "_methods"] or names[name]) and name
        fields_of[class.name] = #class.fields > 0 and class.fields or nil
        if core[name:lower() .. "_methods"] and class.doc then
            merge(name, { doc = class.doc, fields = fields_of[class.name] })
        end
    end
    -- A module that is one function, or can be called, is described at its head.
    for module in pairs(core.sources()) do
        local whole = package.loaded[module]
        local name = names[whole]
        if name and (type(whole) == "function" or call_of(whole)) then
            merge(name, { doc = classes[module]:gsub("^moth%.[%w_]+:%s*", "") })
        end
    end
    for _, annotation in ipairs(found) do
        local name = public_name(annotation, names, modules, class_of)
        if name then
            merge(name, {
                doc = annotation.doc,
                example = annotation.example,
                returns = annotation.returns,
                parameters = annotation.parameters,
                options = options_of(annotation),
            })
        end
    end
end

-- ---- ops ----

local input_names = { [2] = { "b" }, [3] = { "a", "b" } }

local function op_parameters(op)
    local list = {}
    for _, name in ipairs(input_names[op.inputs] or {}) do
        list[#list + 1] = { name = name, kind = "moth.Tensor|number", doc = "" }
    end
    for _, attribute in ipairs(op.attributes) do
        list[#list + 1] = {
            name = attribute.name,
            kind = attribute.name == "dims" and "integer|integer[]" or attribute.kind,
            doc = attribute.default and tostring(attribute.default) or "",
            optional = attribute.optional,
        }
    end
    return list
end

local function add_ops(names)
    for _, op in ipairs(core.ops()) do
        local parameters = op_parameters(op)
        for _, form in ipairs { "", "_" } do
            local method = core.tensor_methods[op.name .. form]
            if method then
                local doc = form == "_" and op.doc .. "; in place" or op.doc
                local entry = { doc = doc, parameters = parameters, returns = "moth.Tensor" }
                merge("Tensor:" .. op.name .. form, entry)
                -- Some are functions of the module too; there the tensor is an argument.
                if names[method] and not names[method]:find ":" then
                    local all = table.move(parameters, 1, #parameters, 2, {
                        { name = input_names[op.inputs] and "a" or "x", kind = "moth.Tensor", doc = "" },
                    })
                    merge(names[method], { doc = doc, parameters = all, returns = "moth.Tensor" })
                end
            end
        end
    end
end

-- ---- gathering ----

--- Other names of a method show what is said of it.
local function add_aliases()
    for key, methods in pairs(core) do
        local class = type(methods) == "table" and class_of_methods(key)
        for name, method in pairs(class and methods or {}) do
            by_name[class .. ":" .. name] = by_name[class .. ":" .. name] or by_value[method]
        end
    end
end

local function gather()
    by_name, by_value = {}, {}
    local names = public_names()
    add_specs(names)
    add_engine_tables()
    add_annotations(names)
    add_ops(names)
    for name, entry in pairs(by_name) do
        entry.example = entry.example or examples.named[name]
    end
    for value, name in pairs(names) do
        by_value[value] = by_value[value] or by_name[name]
    end
    add_aliases()
end

--- The annotated fields of a class of moth's objects: { name, kind, doc, optional }.
---@param class string "moth.tensor"
---@return table[]
function reference.fields(class)
    if not by_name then
        gather()
    end
    return fields_of[class:gsub("%.(%a)", function(first)
        return "." .. first:upper()
    end)] or {}
end

--- Names of the fields and methods of a class, and the class itself.
---@param class string "Tensor"
---@return string[] names with the field `class`
function reference.members(class)
    local names = { class = class }
    for _, field in ipairs(reference.fields("moth." .. class)) do
        names[#names + 1] = field.name
    end
    for name in pairs(core[class:lower() .. "_methods"] or {}) do
        names[#names + 1] = name
    end
    table.sort(names)
    return names
end

--- "tensor" for a tensor; the type of what is no object of moth.
---@param value any
---@return string
function reference.class_of(value)
    local meta = debug.getmetatable(value)
    local name = type(meta) == "table" and rawget(meta, "__name")
    return type(name) == "string" and name:gsub("^moth%.", "") or type(value)
end

--- What is known of a value of moth, or of a name.
---@param what any
---@return moth.HelpEntry?
function reference.find(what)
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

--- Names whose last part is `last`: "Model:fit" for "fit".
---@param last string
---@return string[]
function reference.ending(last)
    local found = {}
    for _, name in ipairs(reference.names()) do
        found[#found + 1] = name:match "[^.:]*$" == last and name or nil
    end
    return found
end

--- The first sentence of what is said of a name.
---@param name string
---@return string
function reference.gist(name)
    local entry = reference.find(name)
    local text = entry and entry.doc and entry.doc:match "^[^\n]*" or ""
    return text:match "^(.-)[.;:]%s" or text:gsub("[.:]$", "")
end

--- What is known of the method of that name of an object.
---@param object any
---@param name string
---@return moth.HelpEntry?
function reference.find_method(object, name)
    local class = reference.class_of(object)
    return reference.find(class:sub(1, 1):upper() .. class:sub(2) .. ":" .. name)
end

--- All names, sorted.
---@return string[]
function reference.names()
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

return reference
