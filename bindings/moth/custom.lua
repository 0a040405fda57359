--- Layers written in Lua: moth.Layer.

local core = require "moth.core"
local options = require "moth.options"

local custom = {}

local spec = {
    name = "Layer", positionals = 0,
    { "name", "string", required = true },
    { "config", "table", default = {} },
    { "build", "function" },
    { "call", "function", required = true },
    { "input_shape", "table" },
    { "trainable", "boolean" },
}

-- What a layer of the engine calls, with the layer itself as first argument. The weak table lets the layer go.
local function bound(f, holder)
    return f and function(...)
        return f(holder[1], ...)
    end
end

local function shape_of(x)
    local shape = {}
    for d = 2, #x.shape do
        shape[d - 1] = x.shape[d]
    end
    return shape
end

-- A new layer of a class; `config` overrides the class's own.
local function instance(class, config, name, input_shape, trainable)
    local holder = setmetatable({}, { __mode = "v" })
    local all = {}
    for key, value in next, class.config do
        all[key] = value
    end
    for key, value in next, config or {} do
        all[key] = value
    end
    local build = class.build and function(x)
        local self = holder[1]
        class.build(self, shape_of(x), x)
        return 0
    end
    local layer = core.layer("Custom", {
        class_name = class.name, config = all, build = build, call = bound(class.call, holder), name = name,
        input_shape = input_shape or class.input_shape, trainable = trainable == nil and class.trainable or trainable,
    })
    holder[1] = layer
    layer.class = class
    for key, value in pairs(all) do
        if type(key) == "string" then
            layer[key] = value
        end
    end
    return layer
end
custom.instance = instance

--- Makes a layer whose computation is written in Lua. `build(self, shape)` adds weights with self:add_weight(name,
-- shape, initializer); `call(self, x, options)` computes, traced once into native code. The entries of `config` are
-- fields of self and are saved; loading finds the functions through `custom = { [name] = layer }`.
---@param args { name: string, config?: table, build?: function, call: function, input_shape?: integer[] }
---@return moth.Layer
function custom.Layer(args)
    local class = options.read(spec, args)
    return instance(class)
end

return custom
