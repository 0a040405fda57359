--- Writes the definitions that lua-language-server reads: `moth share/definitions.lua > moth.lua`. Everything comes
--- from the reference that help shows, so the two cannot differ.
local moth = require "moth"
local annotations = require "moth.annotations"
local core = require "moth.core"
local reference = require "moth.reference"

--- Kinds of options in the words of the language server.
local types = {
    integers = "integer|integer[]", shape = "integer[]", layer = "moth.Layer", any = "any", number = "number",
    integer = "integer", boolean = "boolean", string = "string", ["function"] = "function", table = "table",
}

local annotated, annotated_classes = annotations.read(core.sources())
local overloads = {} -- how the objects of a class are called
for _, class in ipairs(annotated_classes) do
    overloads[class.name] = class.overloads
end

local lines = {
    "---@meta moth", "", ("--- moth %s: machine learning in Lua."):format(moth.version), "---@class moth",
    "local moth = {}", "", "---@type string", 'moth.version = ""', "",
}

local function add(text, ...)
    lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
end

local function add_doc(text)
    for line in ((text or "") .. "\n"):gmatch "(.-)\n" do
        if line ~= "" then
            add("--- " .. line)
        end
    end
end

--- A type as the language server reads it; what it would not understand is anything.
local function type_of(kind)
    kind = kind or "any"
    if types[kind] then
        return types[kind]
    elseif kind:find "^[%w_.%[%]|\"?<>, :{}()]+$" and not kind:find " or " then
        return kind
    end
    local parts = {}
    for part in kind:gmatch "[%w]+" do
        if types[part] then
            parts[#parts + 1] = types[part]
        end
    end
    return #parts > 0 and table.concat(parts, "|") or "any"
end

--- The type of an option: its choices, or its kind; specs come as names, tables of options or functions.
local function option_type(option)
    if option.choices and #option.choices > 0 then
        local texts = {}
        for i, choice in ipairs(option.choices) do
            texts[i] = type(choice) == "string" and ("%q"):format(choice) or tostring(choice)
        end
        return table.concat(texts, "|") .. (option.is_table and "|table|function" or "")
    end
    return type_of(option.kind)
end

local function class_name(name)
    return "moth." .. name:gsub("[.:](%a)", function(first)
        return first:upper()
    end):gsub("^%l", string.upper) .. "Options"
end

local function add_options_class(entry)
    add("---@class %s", class_name(entry.name))
    for _, option in ipairs(entry.options) do
        local about = option.doc or ""
        if option.default then
            about = about .. (about ~= "" and "; " or "") .. "default " .. option.default
        end
        -- Also what is required may be missing: it can come by its position.
        add("---@field %s? %s %s", option.name, option_type(option), about)
        if option.position and option.position > 0 then
            add("---@field [%d]? %s %s", option.position, option_type(option), option.name)
        end
    end
    add ""
end

local result_of = {
    layers = "moth.Layer", optimizers = "moth.Optimizer", callbacks = "moth.Callback", sweep = "moth.Sweep",
}

local function returned(entry)
    return entry.returns or result_of[entry.name:match "^[^.]*"] or nil
end

local function add_returns(entry)
    for line in ((returned(entry) or "") .. "\n"):gmatch "(.-)\n" do
        if line ~= "" then
            add("---@return %s", line)
        end
    end
end

local function add_function(entry, path)
    local names = {}
    if entry.options then
        add_options_class(entry)
    end
    add_doc(entry.doc)
    if entry.is_constructor then
        names[1] = "options"
        add("---@param options? %s|any", class_name(entry.name))
    else
        for i, parameter in ipairs(entry.parameters or {}) do
            local name = parameter.name == "..." and "..." or parameter.name
            local takes_options = entry.options and i == #entry.parameters
            add("---@param %s%s %s %s", name, parameter.optional and name ~= "..." and "?" or "",
                takes_options and class_name(entry.name) or type_of(parameter.kind), parameter.doc or "")
            names[i] = name
        end
    end
    add_returns(entry)
    local first = entry.parameters and entry.parameters[1]
    if first and first.name == "shape" and type_of(first.kind) == "integer[]|integer" then
        -- Numbers one by one, options behind them.
        local options = entry.options and class_name(entry.name) or "table"
        add("---@overload fun(...: integer|%s): %s", options, returned(entry))
    end
    add("function %s(%s) end", path, table.concat(names, ", "))
    add ""
end

--- A module that can be called, as moth.plot.
local function add_callable(entry, path)
    add_options_class(entry)
    add_doc(entry.doc)
    add("---@class %s", (class_name(entry.name):gsub("Options$", "Module")))
    add("---@overload fun(options: %s): %s", class_name(entry.name), returned(entry) or "any")
    add("%s = {}", path)
    add ""
end

local function add_class(entry)
    add_doc(entry.doc)
    add("---@class moth.%s", entry.name)
    for _, field in ipairs(entry.fields or {}) do
        add("---@field %s%s %s %s", field.name, field.optional and "?" or "", type_of(field.kind), field.doc or "")
    end
    if entry.name == "Tensor" then
        for _, name in ipairs { "add", "sub", "mul", "div", "pow" } do
            add("---@operator %s(moth.Tensor|number): moth.Tensor", name)
        end
        add "---@operator unm: moth.Tensor"
        add "---@operator len: integer"
        add "---@field [integer] moth.Tensor|number"
    end
    for _, overload in ipairs(overloads["moth." .. entry.name] or {}) do
        add("---@overload %s", overload)
    end
    add("local %s = {}", entry.name)
    add ""
end

local modules, classes = {}, {}

for _, name in ipairs(reference.names()) do
    local entry = reference.find(name)
    if entry.fields then
        classes[name] = true
        add_class(entry)
    end
end
add "---@class moth.Callback"
add "local Callback = {}"
add ""

-- Objects made in Lua are no entries of the reference: what they have stands in the annotations beside them.
local made_in_lua = {
    ["moth.ConfusionMatrix"] = true, ["moth.History"] = true, ["moth.Report"] = true, ["moth.Sweep"] = true,
}
for _, class in ipairs(annotated_classes) do
    if made_in_lua[class.name] then
        add_class { name = class.name:match "[^.]*$", doc = class.doc, fields = class.fields }
        for _, method in ipairs(annotated) do
            if method.module == class.module and method.owner == class.variable then
                add_function(method, class.name:match "[^.]*$" .. ":" .. method.name)
            end
        end
    end
end

for _, name in ipairs(reference.names()) do
    local entry = reference.find(name)
    local module, method = name:match "^([%w_]+)%.", name:find(":", 1, true)
    local class = method and name:match "^[^:]*"
    if class and not classes[class] then
        classes[class] = true
        add("---@class moth.%s", class)
        add("local %s = {}", class)
        add ""
    end
    if module and not modules[module] then
        modules[module] = true
        add("moth.%s = moth.%s or {}", module, module)
        add ""
    end
    if method then
        add_function(entry, name)
    elseif type(moth[name]) == "table" and entry.is_constructor then
        modules[name] = true
        add_callable(entry, "moth." .. name)
    elseif entry.parameters or entry.is_constructor then
        add_function(entry, "moth." .. name)
    end
end

-- Methods of tensors that are functions too take the tensor first.
local functions = {}
for name, value in pairs(moth) do
    local method = type(value) == "function" and not reference.find(name) and reference.find("Tensor:" .. name)
    if method then
        functions[#functions + 1] = { name = name, method = method }
    end
end
table.sort(functions, function(a, b)
    return a.name < b.name
end)
for _, each in ipairs(functions) do
    add_function({
        doc = each.method.doc, returns = each.method.returns,
        parameters = { { name = "t", kind = "moth.Tensor" }, table.unpack(each.method.parameters or {}) },
    }, "moth." .. each.name)
end

add "return moth"
io.stdout:write((table.concat(lines, "\n"):gsub("[ \t]+\n", "\n")), "\n")
