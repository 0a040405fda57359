--- Examples for what the engine's tables define, where no annotation can stand. Each runs as it is, with the parts of
--- moth as globals and, for what trains, a `model` and data x, y.
local examples = {}

local two = [[
local a, b = moth.Input { 4 }, moth.Input { 4 }
local %s = layers.%s {} ({ a, b })]]

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
    Dot = [[
local a, b = moth.Input { 4 }, moth.Input { 4 }
local cosine = layers.Dot { 1, normalize = true } ({ a, b })]],
    Dropout = [[layers.Dropout(0.3)]],
    Embedding = [[
local model = moth.Sequential {
    layers.Embedding { 1000, 16, mask_zero = true, input_shape = { 20 } },
    layers.Bidirectional(layers.LSTM { 8 }),
}]],
    GaussianNoise = [[layers.GaussianNoise(0.1)]],
    GRU = [[layers.GRU { 32, input_shape = { 28, 28 } }]],
    LSTM = [[
local model = moth.Sequential {
    layers.LSTM { 16, input_shape = { 28, 28 } },
    layers.Dense { 10, activation = "softmax" },
}]],
    Lambda = [[layers.Lambda(function(x) return x * 2 end)]],
    MultiHeadAttention = [[
local x = moth.Input { 10, 16 }
local y = layers.MultiHeadAttention { 2, 8 } ({ x, x })]],
    Permute = [[layers.Permute { 2, 1 }]],
    RepeatVector = [[layers.RepeatVector(3)]],
    Reshape = [[layers.Reshape { 28, 28, 1 }]],
    SeparableConv2D = [[layers.SeparableConv2D { 16, 3 }]],
    SimpleRNN = [[layers.SimpleRNN { 16, input_shape = { 10, 4 } }]],
    SpatialDropout2D = [[layers.SpatialDropout2D(0.2)]],
    TimeDistributed = [[layers.TimeDistributed(layers.Dense { 8 })]],
    UpSampling2D = [[layers.UpSampling2D { 2, interpolation = "bilinear" }]],
    ZeroPadding2D = [[layers.ZeroPadding2D { { { 1, 2 }, { 0, 1 } } }]],
}
for name, result in pairs { Add = "sum", Average = "mean", Concatenate = "both", Maximum = "most", Minimum = "least",
    Multiply = "product", Subtract = "difference" } do
    layers[name] = two:format(result, name)
end

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

-- Those of what is no entry of the engine's tables, by the whole name.
examples.named = {
    Input = [[
local input = moth.Input { 784 }
local model = moth.Model { inputs = input, outputs = layers.Dense { 10, activation = "softmax" }(input) }]],
    Layer = [[
local scale = moth.Layer {
    name = "Scale", input_shape = { 4 },
    build = function(self, shape) self.w = self:add_weight("w", shape, "ones") end,
    call = function(self, x) return x * self.w end,
}
local model = moth.Sequential { scale }]],
    Model = [[
local input = moth.Input { 4 }
local hidden = layers.Dense { 8, activation = "relu" }(input)
local model = moth.Model { inputs = input, outputs = { size = layers.Dense { 1, name = "size" }(hidden),
    kind = layers.Dense { 3, activation = "softmax", name = "kind" }(hidden) } }]],
    Sequential = [[
local model = moth.Sequential {
    layers.Dense { 128, activation = "relu", input_shape = { 784 } },
    layers.Dropout(0.3),
    layers.Dense { 10, activation = "softmax" },
}]],
    ["Model:add"] = [[
local model = moth.Sequential {}
model:add(layers.Dense { 10, activation = "softmax", input_shape = { 784 } })]],
    ["Model:clone"] = [[local fresh = model:clone()]],
    ["Model:compile"] = [[
model:compile { optimizer = optimizers.Adam { lr = 1e-3 }, loss = "mse", metrics = { "mae" } }]],
    ["Model:count_params"] = [[print(model:count_params())]],
    ["Model:evaluate"] = [[local score = model:evaluate(x, y, { verbose = 0 }); print(score.loss)]],
    ["Model:fit"] = [[
local history = model:fit(x, y, { batch_size = 128, epochs = 2, validation_split = 0.25, verbose = 0 })
print(history.history.val_loss[2])]],
    ["Model:get_layer"] = [[local first = model:get_layer(1)]],
    ["Model:get_weights"] = [[local kernel, bias = table.unpack(model:get_weights())]],
    ["Model:load_weights"] = [[model:load_weights "weights.safetensors"]],
    ["Model:parameters"] = [[local parameters = model:parameters()]],
    ["Model:predict"] = [[print(model:predict(x))]],
    ["Model:predict_classes"] = [[print(model:predict_classes(x)[1])]],
    ["Model:predict_digit"] = [[local digit, probability = model:predict_digit "photo.jpg"]],
    ["Model:predict_proba"] = [[print(model:predict_proba(x))]],
    ["Model:reset"] = [[model:reset(1671)]],
    ["Model:save"] = [[model:save "model.safetensors"]],
    ["Model:save_weights"] = [[model:save_weights "weights.safetensors"]],
    ["Model:set_weights"] = [[model:set_weights(model:get_weights())]],
    ["Model:summary"] = [[model:summary()]],
    ["Model:test_on_batch"] = [[local logs = model:test_on_batch(x, y)]],
    ["Model:to_json"] = [[local text = model:to_json()]],
    ["Model:train_on_batch"] = [[local logs = model:train_on_batch(x, y)]],
    ["callbacks.BackupAndRestore"] = [[callbacks.BackupAndRestore "backup"]],
    ["callbacks.CSVLogger"] = [[callbacks.CSVLogger "history.csv"]],
    ["callbacks.EarlyStopping"] = [[
model:fit(x, y, {
    epochs = 100, validation_split = 0.25, verbose = 0,
    callbacks = { callbacks.EarlyStopping { patience = 3, restore_best_weights = true } },
})]],
    ["callbacks.History"] = [[print(model:fit(x, y, { verbose = 0 }).history.loss[1])]],
    ["callbacks.LambdaCallback"] = [[
callbacks.LambdaCallback { on_epoch_end = function(epoch, logs) print(epoch, logs.loss) end }]],
    ["callbacks.LearningRateScheduler"] = [[
callbacks.LearningRateScheduler(function(epoch, rate) return epoch < 10 and rate or rate * 0.9 end)]],
    ["callbacks.LivePlot"] = [[callbacks.LivePlot { "loss" }]],
    ["callbacks.ModelCheckpoint"] = [[
callbacks.ModelCheckpoint { "best-{epoch:02d}.safetensors", monitor = "val_loss", save_best_only = true }]],
    ["callbacks.ProgressBar"] = [[callbacks.ProgressBar { verbose = 2 }]],
    ["callbacks.ReduceLROnPlateau"] = [[callbacks.ReduceLROnPlateau { factor = 0.5, patience = 5 }]],
    ["callbacks.TensorBoard"] = [[callbacks.TensorBoard "logs"]],
    ["callbacks.TerminateOnNaN"] = [[callbacks.TerminateOnNaN {}]],
    compile = [[
local step = moth.compile(function(a, b) return (a * b):sum() end)
print(step(moth.ones(3), moth.ones(3)))]],
    cpu = [[print(moth.cpu())]],
    ["datasets.csv"] = [[local train = datasets.csv("iris.csv", { target = "species" })]],
    ["datasets.digits"] = [[local data = datasets.digits { n = 100, seed = 1 }; print(#data.x)]],
    ["datasets.idx"] = [[local images = datasets.idx "train-images-idx3-ubyte.gz"]],
    ["datasets.image_folder"] = [[local train = datasets.image_folder("pictures", { size = 64 })]],
    ["datasets.mnist"] = [[local train, test = datasets.mnist(); print(#train.x, #test.y)]],
    eye = [[print(moth.eye(3))]],
    gradcheck = [[print(moth.gradcheck(function(t) return (t * t):sum() end, moth.randn(3)))]],
    ["image.augment"] = [[
model:fit(images, y, { epochs = 5, augment = image.augment { shift = 2, rotate = 10, zoom = 0.1 } })]],
    ["image.digit"] = [[image.show(image.digit "photo.jpg")]],
    ["image.digits"] = [[for _, found in ipairs(image.digits "photo.jpg") do image.show(found.image) end]],
    ["image.grayscale"] = [[local grey = image.grayscale(image.load "photo.jpg")]],
    ["image.invert"] = [[local inverted = image.invert(image.load "photo.jpg")]],
    ["image.load"] = [[local picture = image.load "photo.jpg"; print(picture.shape)]],
    ["image.resize"] = [[local small = image.resize(image.load "photo.jpg", 64, 64)]],
    ["image.save"] = [[image.save("small.png", image.resize(image.load "photo.jpg", 64, 64))]],
    ["image.show"] = [[image.show(image.load "photo.jpg")]],
    load_model = [[local model = moth.load_model "model.safetensors"]],
    load_npy = [[local t = moth.load_npy "array.npy"]],
    load_tensors = [[local named = moth.load_tensors "tensors.safetensors"]],
    matmul = [[print(moth.matmul(moth.ones(2, 3), moth.ones(3, 2)))]],
    maximum = [[print(moth.maximum(moth.randn(3), 0))]],
    minimum = [[print(moth.minimum(moth.randn(3), 0))]],
    model_from_json = [[local copy = moth.model_from_json(model:to_json())]],
    one_hot = [[print(moth.one_hot(moth.tensor({ 2, 0 }, { dtype = "int32" }), 3))]],
    ones = [[print(moth.ones(2, 3))]],
    permutation = [[print(moth.permutation(5))]],
    plot = [[moth.plot { x = { 1, 2, 3 }, y = { 1, 4, 9 }, xlabel = "n", ylabel = "square" }]],
    ["plot.bars"] = [[moth.plot.bars { { "SGD", "Adam" }, { 0.945, 0.978 }, ylabel = "accuracy" }]],
    ["plot.confusion_matrix"] = [[moth.plot.confusion_matrix { { { 9, 1 }, { 0, 10 } } }]],
    ["plot.heatmap"] = [[moth.plot.heatmap { { { 1, 2 }, { 3, 4 } }, xlabel = "column", ylabel = "row" }]],
    ["plot.histogram"] = [[moth.plot.histogram { moth.randn(1000) }]],
    ["plot.history"] = [[model:fit(x, y, { epochs = 3, verbose = 0 }):plot()]],
    ["plot.image"] = [[moth.plot.image { moth.rand(8, 8) }]],
    ["plot.images"] = [[moth.plot.images { moth.rand(3, 8, 8), titles = { "a", "b", "c" } }]],
    ["plot.weights"] = [[moth.plot.weights { moth.randn(16, 4) }]],
    predict_digit = [[local digit, probability = moth.predict_digit "photo.jpg"]],
    rand = [[print(moth.rand(2, 3))]],
    randn = [[print(moth.randn(2, 3))]],
    save_npy = [[moth.save_npy("array.npy", moth.randn(2, 3))]],
    stack = [[print(moth.stack({ moth.ones(2), moth.zeros(2) }, 1))]],
    sweep = [[
local sweep = moth.sweep {
    name = "rates", grid = { lr = { 0.001, 0.01, 0.1 } }, seeds = 3,
    trial = function(p)
        local model = model:clone():compile { optimizer = optimizers.SGD { lr = p.lr }, loss = "mse" }
        return { loss = model:fit(x, y, { verbose = 0 }).history.loss[1] }
    end,
}
sweep:table()
sweep:plot("lr", "loss")]],
    ["sweep.choice"] = [[moth.sweep.choice { "SGD", "Adam" }]],
    ["sweep.integers"] = [[moth.sweep.integers(16, 256)]],
    ["sweep.log_uniform"] = [[moth.sweep.log_uniform(1e-4, 1)]],
    ["sweep.uniform"] = [[moth.sweep.uniform(0, 0.5)]],
    threads = [[print(moth.threads())]],
}

-- Those that read or write a file, or whole data sets: they run only where these are.
examples.needs_files = {}
for _, name in ipairs { "Model:load_weights", "Model:predict_digit", "Model:save", "Model:save_weights",
    "datasets.csv", "datasets.idx", "datasets.image_folder", "datasets.mnist", "image.augment", "image.digit",
    "image.digits", "image.grayscale", "image.invert", "image.load", "image.resize", "image.save", "image.show",
    "load_model", "load_npy", "load_tensors", "predict_digit", "save_npy", "sweep" } do
    examples.needs_files[name] = true
end

--- An example for the entry `name` of moth's table `plural`.
---@param plural string
---@param name string
---@return string?
function examples.of(plural, name)
    return by_table[plural] and by_table[plural](name)
end

return examples
