--- Examples for what the engine's tables define, where no annotation can stand. Each runs as it is, with the parts of
--- moth as globals and, for what trains, a `model` and data x, y.
local examples = {}

local layers = {
    Activation = [[layers.Activation "relu"]],
    ActivityRegularization = [[layers.ActivityRegularization { l2 = 1e-4 }]],
    Bidirectional = [[layers.Bidirectional(layers.LSTM { 8 })]],
    Conv1D = [[layers.Conv1D { 16, 3, activation = "relu", input_shape = { 20, 4 } }]],
    Conv2D = [[layers.Conv2D { 32, 3, activation = "relu", input_shape = { 28, 28, 1 } }]],
    Conv2DTranspose = [[layers.Conv2DTranspose { 8, 3, strides = 2 }]],
    Dense = [[
local model = moth.Sequential {
    layers.Dense { 128, activation = "relu", input_shape = { 784 } },
    layers.Dense { 10, activation = "softmax" },
}
model:summary()]],
    DepthwiseConv2D = [[layers.DepthwiseConv2D { 3 }]],
    Dropout = [[layers.Dropout(0.3)]],
    Embedding = [[layers.Embedding { 1000, 16 }]],
    GaussianNoise = [[layers.GaussianNoise(0.1)]],
    GRU = [[layers.GRU { 32, input_shape = { 28, 28 } }]],
    LSTM = [[
local model = moth.Sequential {
    layers.LSTM { 16, input_shape = { 28, 28 } },
    layers.Dense { 10, activation = "softmax" },
}]],
    Lambda = [[layers.Lambda(function(x) return x * 2 end)]],
    MultiHeadAttention = [[layers.MultiHeadAttention { 2, 8 }]],
    Permute = [[layers.Permute { 2, 1 }]],
    RepeatVector = [[layers.RepeatVector(3)]],
    Reshape = [[layers.Reshape { 28, 28, 1 }]],
    SeparableConv2D = [[layers.SeparableConv2D { 16, 3 }]],
    SimpleRNN = [[layers.SimpleRNN { 16, input_shape = { 10, 4 } }]],
    SpatialDropout2D = [[layers.SpatialDropout2D(0.2)]],
    TimeDistributed = [[layers.TimeDistributed(layers.Dense { 8 })]],
}

local schedules = {
    CosineDecay = "0.01, 1000",
    ExponentialDecay = "0.01, 1000, 0.9",
    OneCycle = "0.1, 1000",
    PiecewiseConstant = "{ 100, 200 }, { 0.1, 0.01, 0.001 }",
    Warmup = "0.01, 100",
}

--- How one entry of a table is used, by the table's name.
local by_table = {
    layers = function(name)
        return layers[name] or "layers." .. name .. " {}"
    end,
    activations = function(name)
        return ('layers.Dense { 10, activation = "%s" }'):format(name)
    end,
    initializers = function(name)
        return ('layers.Dense { 10, kernel_initializer = "%s" }'):format(name)
    end,
    regularizers = function(name)
        return ("layers.Dense { 10, kernel_regularizer = regularizers.%s { 0.01 } }"):format(name)
    end,
    constraints = function(name)
        return ('layers.Dense { 10, kernel_constraint = "%s" }'):format(name)
    end,
    losses = function(name)
        return ('model:compile { optimizer = "adam", loss = "%s" }'):format(name)
    end,
    metrics = function(name)
        return ('model:compile { optimizer = "adam", loss = "mse", metrics = { "%s" } }'):format(name)
    end,
    optimizers = function(name)
        return ('model:compile { optimizer = optimizers.%s { learning_rate = 0.01 }, loss = "mse" }'):format(name)
    end,
    schedules = function(name)
        local arguments = schedules[name] and " " .. schedules[name] .. " " or ""
        return ("optimizers.SGD { learning_rate = schedules.%s {%s} }"):format(name, arguments)
    end,
}

--- An example for the entry `name` of moth's table `plural`.
---@param plural string
---@param name string
---@return string?
function examples.of(plural, name)
    return by_table[plural] and by_table[plural](name)
end

return examples
