--- Model files: save, load_model, weights, JSON.

local core = require "moth.core"
local custom = require "moth.custom"
local options = require "moth.options"

local checkpoint = {}
local methods = core.model_methods

-- What a file cannot hold comes from the table `custom`: layers made by moth.Layer by their name, functions of Lambda
-- layers by the layer's name.
-- Raises without a position: the load that it is part of puts the caller's in front.
local function maker(given)
    given = given or {}
    return function(kind, config)
        if kind == "Custom" then
            local prototype = given[config.class_name]
            if not core.is_layer(prototype) or not prototype.class then
                error(("layer %q was written in Lua; pass it as custom = { [%q] = layer }"):format(config.name,
                    config.class_name), 0)
            end
            return custom.instance(prototype.class, config.config, config.name, config.input_shape, config.trainable)
        elseif kind == "Lambda" then
            local f = given[config.name]
            if type(f) ~= "function" then
                error(("Lambda %q needs its function: pass custom = { [%q] = function }"):format(config.name,
                    config.name), 0)
            end
            config["function"] = f
            return core.layer("Lambda", config)
        end
    end
end

local load_spec = {
    name = "load_model", positionals = 0,
    { "custom", "table" },
    { "compile", "boolean", default = true },
}

local function check_path(who, path)
    if type(path) ~= "string" or path == "" then
        options.fail(("%s: path must be a text; got %s"):format(who, options.show(path)))
    end
    return path
end

--- Saves the whole model: architecture, weights, optimizer and counters. Training goes on after loading as if it had
-- never been interrupted.
---@param path string
function methods:save(path)
    core.save_model(self, check_path("save", path))
    return self
end

--- Loads a model that save wrote.
---@param path string
---@param args? { custom?: table, compile?: boolean }  compile = false: for inference
---@return moth.Model
function checkpoint.load_model(path, args)
    local read = options.read(load_spec, args)
    require "moth.model" -- the methods of what is loaded
    local model = core.load_model(check_path("load_model", path), read.compile, maker(read.custom))
    model.optimizer = core.optimizer_of(model)
    return model
end

--- Writes the weights alone.
---@param path string
function methods:save_weights(path)
    core.save_weights(self, check_path("save_weights", path))
    return self
end

--- Takes the weights from a file of a model with the same layers; nothing changes when one does not fit.
---@param path string
function methods:load_weights(path)
    core.load_weights(self, check_path("load_weights", path))
    return self
end

--- Goes on in this compiled model from a file that save wrote of the same model: weights, optimizer, counters and seed.
---@param path string
function methods:resume(path)
    core.resume_model(self, check_path("resume", path))
    return self
end

--- The architecture as JSON.
---@param indent? integer
---@return string
function methods:to_json(indent)
    return core.model_to_json(self, indent)
end

--- A model of that architecture with new weights.
---@param text string
---@param args? { custom?: table }
---@return moth.Model
function checkpoint.model_from_json(text, args)
    local read = options.read({ name = "model_from_json", positionals = 0, { "custom", "table" } }, args)
    require "moth.model"
    return core.model_from_json(text, maker(read.custom))
end

-- Functions of a model that is at hand need no table.
local function functions_of(model)
    local found = {}
    for _, layer in ipairs(model.layers) do
        if layer.class then
            found[layer.class.name] = layer
        elseif layer.type == "Lambda" then
            found[layer.name] = layer.config["function"]
        end
    end
    return found
end

--- A model of the same architecture with new weights.
---@return moth.Model
function methods:clone()
    return core.model_from_json(core.model_to_json(self, 0), maker(functions_of(self)))
end

return checkpoint
