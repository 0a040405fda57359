--- moth: machine learning in Lua. This file alone decides what is public: the table that it returns.
local core = require "moth.core"

local moth = { version = core.version } ---@type table

-- Functions made in C that are public as they are (documented in bindings/types/tensor.lua).
for name in ([[
    seed threads cpu
    tensor zeros ones full eye arange linspace rand randn randint permutation
    cat stack where one_hot maximum minimum matmul
    no_grad
]]):gmatch("%S+") do
    moth[name] = assert(core[name] or core.tensor_methods[name], name)
end

-- Constructors that the engine's tables define, and models.
local model = require "moth.model"
for name, entries in pairs(model.catalog) do
    moth[name] = entries
end
moth.Sequential, moth.Model = model.Sequential, model.Model
moth.Layer = require("moth.custom").Layer
local checkpoint = require "moth.checkpoint"
moth.load_model, moth.model_from_json = checkpoint.load_model, checkpoint.model_from_json

-- Parts with a module of their own, one line each.
moth.compile = require "moth.compile"
moth.gradcheck = require "moth.gradcheck"
moth.callbacks = require "moth.callbacks"
moth.datasets = require "moth.datasets"
moth.plot = require "moth.plot"
moth.sweep = require "moth.sweep"

return moth
