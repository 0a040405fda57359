--- The tables of constructors that the engine defines: moth.layers, moth.losses, moth.optimizers …
-- Names, options and defaults come from the engine's own tables; here they only get Lua's calling style.

local core = require "moth.core"
local options = require "moth.options"
require "moth.weights" -- methods of layers

local catalog = {}

-- What a constructor was given as the engine reads it: options by name, positionals as the list "[]".
local function arguments(args)
    if args == nil then
        return { ["[]"] = {} }
    elseif type(args) ~= "table" or getmetatable(args) ~= nil then
        return { ["[]"] = { args } }
    end
    local given, positionals = {}, {}
    for key, value in pairs(args) do
        if math.type(key) == "integer" and key >= 1 then
            positionals[key] = options.made(value, 0)
        else
            given[key] = options.made(value, 0)
        end
    end
    given["[]"] = positionals
    return given
end

-- ---- specs: losses, metrics, initializers … -------------------------------------------------------------------------

local nouns = {}

local Spec = {}
Spec.__index = Spec
Spec.__name = "moth.spec"

local function show_option(value)
    if type(value) == "table" then
        return value.class or #value > 0 and "{ " .. table.concat(value, ", ") .. " }" or "…"
    end
    return options.show(value)
end

function Spec:__tostring()
    local keys, parts = {}, {}
    for key in pairs(self) do
        if key ~= "class" then
            keys[#keys + 1] = key
        end
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
        parts[i] = ("%s = %s"):format(key == "log_name" and "name" or key, show_option(self[key]))
    end
    local inside = #parts > 0 and " { " .. table.concat(parts, ", ") .. " }" or ""
    return ("%s.%s%s"):format(nouns[self] or "moth", self.class, inside)
end

--- A loss or metric made by its constructor computes: `losses.huber { delta = 2 } (y_true, y_pred)` is the mean over
-- the batch, differentiable; an activation computes y of x, a schedule the rate at a step.
function Spec:__call(...)
    if nouns[self] == "schedules" then
        return core.schedule_rate(self, ...)
    end
    local plain = {}
    for key, value in pairs(self) do
        plain[key] = value
    end
    plain.log_name = nil
    return core.call_spec(nouns[self], plain, ...)
end

-- A metric, which any loss may be, may have a name of its own, under which logs show it.
local function take_name(given, name)
    local log_name = given.name
    given.name = nil
    if log_name ~= nil and (type(log_name) ~= "string" or log_name == "") then
        options.fail(("%s: option 'name' must be a name for logs; got %s"):format(name, options.show(log_name)))
    end
    return log_name
end

-- On tensors a constructor computes with the defaults: `losses.mse(y_true, y_pred)`, `activations.relu(x)`.
local function spec_constructor(plural, name, named)
    return options.stands_for_made(function(args, ...)
        local computes = core.is_tensor(args)
        local given = arguments(not computes and args or nil)
        local log_name = named and take_name(given, name)
        given.class = name
        local spec = core.spec(plural, given)
        spec.log_name = log_name or nil
        nouns[spec] = plural
        setmetatable(spec, Spec)
        if computes then
            return spec(args, ...)
        end
        return spec
    end)
end

setmetatable(nouns, { __mode = "k" })

-- ---- objects: layers and optimizers ---------------------------------------------------------------------------------

-- A layer inside the options of another (Bidirectional) is described by its type and options.
local function describe_layers(name, given)
    for key, value in pairs(given) do
        if type(value) == "userdata" and core.is_layer(value) then
            if #value.weights > 0 then
                options.fail(("%s: %s has weights already, which it would not share; give a new layer"):format(name,
                    value.name))
            end
            given[key] = { class = value.type, config = value.config }
        elseif type(value) == "userdata" and core.is_model(value) then
            options.fail(name .. ": takes a layer; a model cannot stand inside one")
        elseif key == "[]" then
            describe_layers(name, value)
        end
    end
    return given
end

local function layer_constructor(name)
    return function(args)
        return core.layer(name, describe_layers(name, arguments(args)))
    end
end

local function optimizer_constructor(name)
    return options.stands_for_made(function(args)
        local given = arguments(args)
        given.class = name
        return core.optimizer(given)
    end)
end

-- ---- the tables -----------------------------------------------------------------------------------------------------

-- Reading a name that is not there is a typing error far more often than a question.
-- `beside`: what can be read there but is no entry.
local function strict(plural, entries, beside)
    local known = {}
    for name in pairs(entries) do
        known[#known + 1] = name
    end
    table.sort(known)
    return setmetatable(entries, {
        __index = function(_, key)
            if beside and beside[key] then
                return beside[key]
            elseif type(key) == "string" then
                options.fail(options.unknown(("moth.%s has no"):format(plural), key, known))
            end
        end,
    })
end

local function build(plural, constructor, more, beside)
    local entries = {}
    for name, entry in next, more or {} do
        entries[name] = entry
    end
    for _, entry in ipairs(core.entries(plural)) do
        if entry.name ~= "Custom" then -- what moth.Layer makes
            entries[entry.name] = constructor(entry.name)
        end
    end
    for alias, name in pairs(core.aliases(plural)) do
        entries[alias] = entries[name]
    end
    return strict(plural, entries, beside)
end

local spec_tables = "activations initializers regularizers constraints losses metrics schedules"
for plural in spec_tables:gmatch("%a+") do
    -- Every loss is a metric too.
    catalog[plural] = build(plural, function(name)
        return spec_constructor(plural, name, plural == "metrics" or plural == "losses")
    end, plural == "metrics" and catalog.losses or nil)
end
catalog.layers = build("layers", layer_constructor)
-- Keras's place for schedules is optimizers.schedules.
catalog.optimizers = build("optimizers", optimizer_constructor, nil, { schedules = catalog.schedules })

-- A list of sizes, each a whole number above 0.
local function sizes(value)
    if type(value) ~= "table" or getmetatable(value) ~= nil then
        return nil, "a list of sizes"
    end
    local list = {}
    for i = 1, #value do
        local size = math.type(value[i]) and math.tointeger(value[i])
        if not size or size < 1 or size > 2 ^ 40 then
            return nil, ("a list of whole numbers above 0 (entry %d is %s)"):format(i, options.show(value[i]))
        end
        list[i] = size
    end
    return list
end

local input_spec = {
    name = "Input", shape = "shape",
    { "shape", sizes, required = true },
    { "dtype", { "float32", "int32", "uint8" }, default = "float32" },
    { "name", "string" },
}

--- A symbolic input of a functional model: `moth.Input { 28, 28, 1 }`, `moth.Input { 10, dtype = "int32" }`; also the
-- first entry of a Sequential.
---@param args table|integer  shape of one sample; options dtype, name
---@return moth.Symbol
function catalog.Input(args)
    local read = options.read(input_spec, args == nil and {} or args)
    return core.input(read.shape, read.dtype, read.name)
end

return catalog
