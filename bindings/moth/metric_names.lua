--- Which way a metric improves, by its name.

local options = require "moth.options"

local metric_names = {}

-- A name may carry the name of an output in front ("digit_accuracy").
local rising = { "accuracy", "precision", "recall", "f1", "auc", "top_k", "r2_score", "cosine_similarity" }
local falling = {
    "loss", "mse", "mae", "mape", "msle", "huber", "log_cosh", "crossentropy", "kl_divergence", "hinge", "poisson",
    "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error", "mean_squared_logarithmic_error",
    "root_mean_squared_error",
}

local function is_one_of(name, known)
    for _, word in ipairs(known) do
        if name == word or name:sub(-#word - 1) == "_" .. word then
            return true
        end
    end
    return false
end

--- The direction of a metric, nil when its name does not tell.
---@param name string
---@return "min"|"max"|nil
function metric_names.guess(name)
    return is_one_of(name, rising) and "max" or is_one_of(name, falling) and "min" or nil
end

--- The direction of a metric: as chosen, or by its name; raises when neither tells.
---@param name string
---@param mode? "auto"|"min"|"max"
---@param who string  for the message
---@return "min"|"max"
function metric_names.direction(name, mode, who)
    if mode == "min" or mode == "max" then
        return mode
    end
    return metric_names.guess(name) or options.fail(
        ('%s: cannot tell whether %s should rise or fall; set mode = "max" or mode = "min"'):format(who,
            options.show(name)))
end

return metric_names
