--- Weights as lists of tensors, of models and of layers.

local core = require "moth.core"
local options = require "moth.options"

local weights = {}

--- Copies of all weights, layer by layer.
---@return moth.Tensor[]
function core.model_methods:get_weights()
    local list = {}
    for i, variable in ipairs(self:variables()) do
        list[i] = variable.tensor:detach():clone()
    end
    return list
end

local function set_variables(what, variables, list)
    if type(list) ~= "table" or #list ~= #variables then
        options.fail(("%s: expected a list of %d tensors; got %s"):format(what, #variables,
            type(list) == "table" and #list or options.show(list)))
    end
    local values = {}
    for i, variable in ipairs(variables) do
        local value = list[i]
        if type(value) == "table" then
            value = core.tensor(value)
        elseif not core.is_tensor(value) then
            options.fail(("%s: entry %d must be a tensor; got %s"):format(what, i, options.show(value)))
        end
        local want, got = table.concat(variable.tensor.shape, ", "), table.concat(value.shape, ", ")
        if want ~= got then
            options.fail(("%s: %s has shape (%s); entry %d has (%s)"):format(what, variable.path, want, i, got))
        end
        values[i] = value:detach():clone() -- it may be one of the variables itself
    end
    for i, variable in ipairs(variables) do
        variable.tensor:detach():copy_(values[i])
    end
end

--- Sets all weights from a list as get_weights gives it; nothing changes when one does not fit.
---@param list moth.Tensor[]
function core.model_methods:set_weights(list)
    set_variables("set_weights", self:variables(), list)
    return self
end

--- Its weights as a list of tensors.
---@return moth.Tensor[]
function core.layer_methods:get_weights()
    local list = {}
    for i, tensor in ipairs(self.weights) do
        list[i] = tensor:detach():clone()
    end
    return list
end

--- Sets its weights from a list as get_weights gives it.
---@param list moth.Tensor[]
function core.layer_methods:set_weights(list)
    local variables = {}
    for i, tensor in ipairs(self.weights) do
        variables[i] = { tensor = tensor, path = ("weight %d"):format(i) }
    end
    set_variables("set_weights", variables, list)
end

return weights
