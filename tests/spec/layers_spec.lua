-- What every layer must do in a model, whatever it computes (golden_spec has its values): the promised shape, the same
-- numbers eagerly and in a plan, the same bits on any number of threads, a file that brings it back, a row in the
-- summary; and refusals that say what is wrong.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

local ROWS = 37

-- Values that depend on the place only.
local function wave(shape, phase)
    local n = 1
    for _, size in ipairs(shape) do
        n = n * size
    end
    return (moth.arange(1, n) * 0.37 + phase):sin():reshape(table.unpack(shape))
end

-- A case: samples of which shapes go in, what comes out, and a function from symbols to the symbol of the layer.
local cases = {}
local function case(name, shapes, out, make)
    cases[#cases + 1] = { name = name, shapes = shapes, out = out, make = make }
end

-- One that takes token ids 0 .. 6, with layers behind it that look at masks.
local function case_of_ids(name, shape, out, make)
    cases[#cases + 1] = { name = name, shapes = { shape }, ids = true, out = out, make = make }
end

local V, W, S, IMAGE = { 4 }, { 3, 4 }, { 5, 4 }, { 6, 5, 3 }

case("Add", { V, V, V }, { 4 }, layers.Add {})
case("Add with broadcasting", { V, W }, { 3, 4 }, layers.Add {})
case("Subtract", { V, V }, { 4 }, layers.Subtract {})
case("Multiply", { V, V }, { 4 }, layers.Multiply {})
case("Average", { V, V, V }, { 4 }, layers.Average {})
case("Maximum", { V, V }, { 4 }, layers.Maximum {})
case("Minimum", { V, V }, { 4 }, layers.Minimum {})
case("Concatenate", { V, { 2 } }, { 6 }, layers.Concatenate {})
case("Concatenate of steps", { W, S }, { 8, 4 }, layers.Concatenate { axis = 1 })
case("Dot", { V, V }, { 1 }, layers.Dot { 1, normalize = true })
case("Dot of matrices", { W, { 4, 2 } }, { 3, 2 }, layers.Dot { { 2, 1 } })
case("ReLU", { W }, { 3, 4 }, layers.ReLU { max_value = 0.9, negative_slope = 0.1 })
case("LeakyReLU", { V }, { 4 }, layers.LeakyReLU {})
case("ELU", { V }, { 4 }, layers.ELU { 0.5 })
case("PReLU", { IMAGE }, { 6, 5, 3 }, layers.PReLU { alpha_initializer = "random_normal", shared_axes = { 1, 2 } })
case("Softmax", { W }, { 3, 4 }, layers.Softmax { 1 })
case("Softmax of two axes", { W }, { 3, 4 }, layers.Softmax { axis = { 1, 2 } })

case("GaussianNoise", { W }, { 3, 4 }, layers.GaussianNoise(0.3))
case("SpatialDropout2D", { IMAGE }, { 6, 5, 3 }, layers.SpatialDropout2D(0.5))
case("SpatialDropout2D, channels first", { IMAGE }, { 6, 5, 3 },
    layers.SpatialDropout2D { 0.5, data_format = "channels_first" })
case("ActivityRegularization", { V }, { 4 }, layers.ActivityRegularization { l1 = 0.1, l2 = 0.2 })
case("Masking", { S }, { 5, 4 }, layers.Masking {})
case_of_ids("Embedding", { 5 }, { 5, 4 }, layers.Embedding { 7, 4 })
case_of_ids("Embedding with a mask", { 5 }, { 5, 4 }, layers.Embedding { 7, 4, mask_zero = true })
case("Bidirectional", { S }, { 5, 6 }, layers.Bidirectional(layers.LSTM { 3, return_sequences = true, dropout = 0.2 }))
case("Bidirectional, its own backward layer", { S }, { 2 }, layers.Bidirectional {
    layers.GRU { 2 }, merge_mode = "ave", backward_layer = layers.LSTM { 2, go_backwards = true },
})
case("TimeDistributed", { { 3, 4, 4, 2 } }, { 3, 3, 3, 2 }, layers.TimeDistributed(layers.Conv2D { 2, 2 }))
case("TimeDistributed of a wrapper", { { 2, 3, 4 } }, { 2, 4 },
    layers.TimeDistributed(layers.Bidirectional(layers.SimpleRNN { 2 })))

case("ZeroPadding2D", { IMAGE }, { 9, 8, 3 }, layers.ZeroPadding2D { { { 1, 2 }, { 0, 3 } } })
case("UpSampling2D", { IMAGE }, { 12, 15, 3 }, layers.UpSampling2D { { 2, 3 } })
case("UpSampling2D, bilinear", { IMAGE }, { 12, 10, 3 }, layers.UpSampling2D { interpolation = "bilinear" })
case("DepthwiseConv2D", { IMAGE }, { 4, 3, 6 }, layers.DepthwiseConv2D { 3, depth_multiplier = 2 })
case("SeparableConv2D", { IMAGE }, { 4, 3, 4 }, layers.SeparableConv2D { 4, 3 })
case("Conv2DTranspose", { IMAGE }, { 12, 10, 2 }, layers.Conv2DTranspose { 2, 3, strides = 2, padding = "same" })
case("Conv2DTranspose, channels first", { { 3, 4, 5 } }, { 2, 6, 7 },
    layers.Conv2DTranspose { 2, 3, data_format = "channels_first" })
case("MultiHeadAttention", { W, S }, { 3, 4 }, layers.MultiHeadAttention { 2, 3, dropout = 0.1 })
case("MultiHeadAttention on itself", { S }, { 5, 4 }, layers.MultiHeadAttention { 2, 3, use_causal_mask = true })

case("Dense", { W }, { 3, 2 }, layers.Dense { 2, activation = "tanh", kernel_regularizer = "l2" })
case("Activation", { V }, { 4 }, layers.Activation "gelu")
case("Dropout", { W }, { 3, 4 }, layers.Dropout(0.4))
case("Flatten", { W }, { 12 }, layers.Flatten {})
case("Reshape", { W }, { 2, 6 }, layers.Reshape { 2, 6 })
case("Permute", { IMAGE }, { 3, 6, 5 }, layers.Permute { 3, 1, 2 })
case("RepeatVector", { V }, { 3, 4 }, layers.RepeatVector(3))
case("Conv1D", { S }, { 5, 3 }, layers.Conv1D { 3, 2, padding = "causal" })
case("Conv2D", { IMAGE }, { 2, 2, 4 }, layers.Conv2D { 4, 3, strides = 2, activation = "relu" })
case("MaxPooling1D", { S }, { 2, 4 }, layers.MaxPooling1D {})
case("AveragePooling1D", { S }, { 3, 4 }, layers.AveragePooling1D { padding = "same" })
case("MaxPooling2D", { IMAGE }, { 3, 2, 3 }, layers.MaxPooling2D {})
case("AveragePooling2D", { IMAGE }, { 3, 3, 3 }, layers.AveragePooling2D { padding = "same" })
case("GlobalMaxPooling1D", { S }, { 4 }, layers.GlobalMaxPooling1D {})
case("GlobalAveragePooling1D", { S }, { 4 }, layers.GlobalAveragePooling1D {})
case("GlobalMaxPooling2D", { IMAGE }, { 3 }, layers.GlobalMaxPooling2D {})
case("GlobalAveragePooling2D", { IMAGE }, { 1, 1, 3 }, layers.GlobalAveragePooling2D { keepdims = true })
case("SimpleRNN", { S }, { 3 }, layers.SimpleRNN { 3 })
case("LSTM", { S }, { 5, 3 }, layers.LSTM { 3, return_sequences = true })
case("GRU", { S }, { 3 }, layers.GRU { 3, reset_after = false })
case("BatchNormalization", { IMAGE }, { 6, 5, 3 }, layers.BatchNormalization { momentum = 0.5 })
case("LayerNormalization", { W }, { 3, 4 }, layers.LayerNormalization {})

-- The layer between others that are trained: its gradient is part of what is compared.
local function model_of(entry)
    local inputs, hidden = {}, {}
    for k, shape in ipairs(entry.shapes) do
        inputs[k] = moth.Input { shape, dtype = entry.ids and "int32" or nil }
        hidden[k] = entry.ids and inputs[k] or layers.Dense { shape[#shape] } (inputs[k])
    end
    local made = layers[entry.make.type](entry.make.config)
    local y = made(#hidden == 1 and hidden[1] or hidden)
    local z = entry.ids and layers.GRU { 3, return_sequences = true } (y) or y
    return moth.Model { inputs = inputs, outputs = layers.Dense { 2 } (layers.Flatten {} (z)) }, y, made
end

local function data_of(entry)
    local x = {}
    for k, shape in ipairs(entry.shapes) do
        x[k] = wave({ ROWS, table.unpack(shape) }, k)
        x[k] = entry.ids and (x[k] * 3.5 + 3.5):to("int32") or x[k]
    end
    return x, wave({ ROWS, 2 }, 0.2)
end

local function trained(entry, threads)
    moth.threads(threads)
    moth.seed(7)
    local model = model_of(entry)
    local x, y = data_of(entry)
    model:compile { optimizer = "adam", loss = "mse" }
    model:fit(x, y, { batch_size = 16, epochs = 2, verbose = 0 })
    local facts = { support.flat(model:predict(x):totable()) }
    for _, weight in ipairs(model:get_weights()) do
        facts[#facts + 1] = support.flat(weight:totable())
    end
    return facts
end

-- Lambda is left out: its function is no part of the engine, and no file holds it (custom_spec).
it("has a case: each layer of the table", function()
    local seen = { [layers.Lambda] = true }
    for _, entry in ipairs(cases) do
        seen[layers[entry.make.type]] = true
    end
    for name, make in pairs(layers) do
        assert.is_true(seen[make] or false, name)
    end
end)

describe("the layer", function()
    local before = moth.threads()
    after_each(function()
        moth.threads(before)
    end)

    for _, entry in ipairs(cases) do
        describe(entry.name, function()
            it("gives the promised shape, eagerly what a plan gives, and a row in the summary", function()
                moth.seed(3)
                local model, y, made = model_of(entry)
                assert.same(entry.out, y.shape)
                local x = data_of(entry)
                support.close(model:predict(x):totable(), model(x):totable(), 1e-6, "eager")
                local found
                for _, row in ipairs(model:rows()) do
                    found = found or row.name == made.name and row
                end
                assert.equal(made.type, found.type)
            end)

            it("trains to the same bits on 1, 2 and 3 threads", function()
                local one = trained(entry, 1)
                assert.same(one, trained(entry, 2))
                assert.same(one, trained(entry, 3))
            end)

            it("comes back from a file", function()
                local model = model_of(entry)
                local x = data_of(entry)
                local path = os.tmpname()
                model:save(path)
                local loaded = moth.load_model(path)
                os.remove(path)
                assert.same(model:predict(x):totable(), loaded:predict(x):totable())
                assert.equal(model:to_json(), loaded:to_json())
            end)
        end)
    end
end)

describe("refused:", function()
    local a, b, steps = moth.Input { 4 }, moth.Input { 3 }, moth.Input { 2, 4 }
    local function refused(what, pattern, f)
        it(what, function()
            local message = support.fails(f)
            assert(message:find(pattern, 1, true), ("expected %q in: %s"):format(pattern, message))
        end)
    end

    refused("shapes that do not broadcast", "(batch, 4) and (batch, 3)", function() layers.Add {} ({ a, b }) end)
    refused("a third input of Subtract", "takes 2 tensors, got 3", function() layers.Subtract {} ({ a, a, a }) end)
    refused("one input of Dot", "takes 2 tensors, got 1", function() layers.Dot { 1 } (a) end)
    refused("different numbers of rows", "the same number of rows, got (2, 3) and (1, 3)",
        function() layers.Add {} ({ moth.ones(2, 3), moth.ones(1, 3) }) end)
    refused("an option of Add", "unknown option 'axis'", function() layers.Add { axis = 1 } end)
    refused("the batch as axis", "axis 0", function() layers.Concatenate { axis = 0 } ({ a, a }) end)
    refused("shapes that do not join", "agree in all dimensions but axis 1",
        function() layers.Concatenate {} ({ a, steps }) end)
    refused("Dot without axes", "option 'axes' is missing", function() layers.Dot {} end)
    refused("axes of different sizes", "must have the same size", function() layers.Dot { { 1, 1 } } ({ a, steps }) end)
    refused("three axes", "takes 2 integers, got 3", function() layers.Dot { { 1, 1, 1 } } end)
    refused("a negative slope", "at least 0", function() layers.LeakyReLU { -1 } end)
    refused("an axis that is not there", "axis 3", function() layers.PReLU { shared_axes = { 3 } } (steps) end)
    refused("no axis", "at least one", function() layers.Softmax { axis = {} } (a) end)
    refused("a wrapper without a layer", "option 'layer' is missing", function() layers.TimeDistributed {} end)
    refused("a number as layer", "must be a layer, got an integer", function() layers.Bidirectional { 3 } end)
    refused("a layer that is not recurrent", "takes a SimpleRNN, LSTM or GRU, got Dense",
        function() layers.Bidirectional(layers.Dense { 1 }) end)
    refused("two forward layers", "must go_backwards, got none",
        function() layers.Bidirectional { layers.GRU { 2 }, backward_layer = layers.GRU { 2 } } end)
    local back = layers.GRU { 2, go_backwards = true, return_sequences = true }
    refused("pairs that give other things", "return_sequences must be the same",
        function() layers.Bidirectional { layers.GRU { 2 }, backward_layer = back } end)
    refused("an unknown way to merge", "concat sum mul ave none",
        function() layers.Bidirectional { layers.GRU { 2 }, merge_mode = "max" } end)
    refused("steps that the layer inside does not take", "TimeDistributed: Conv2D: expected input with 4 dimensions",
        function() layers.TimeDistributed(layers.Conv2D { 2, 3 })(steps) end)
    refused("a sequence without steps", "at least 3 dimensions",
        function() layers.TimeDistributed(layers.Dense { 2 })(a) end)
    refused("half of the states", "the states of both directions",
        function() layers.Bidirectional(layers.GRU { 4 })({ steps, a }) end)
    local image = moth.Input { 4, 4, 3 }
    refused("padding of three sides", "{rows, columns}", function() layers.ZeroPadding2D { { 1, 2, 3 } } end)
    refused("negative padding", "a number from 0", function() layers.ZeroPadding2D { -1 } end)
    refused("an unknown interpolation", "nearest bilinear bicubic",
        function() layers.UpSampling2D { interpolation = "area" } end)
    refused("no kernel size", "option 'kernel_size' is missing", function() layers.DepthwiseConv2D {} end)
    refused("a window larger than the image", "SeparableConv2D: ",
        function() layers.SeparableConv2D { 2, 5 } (image) end)
    refused("padding at the end beyond the strides", "must be less than strides (2)",
        function() layers.Conv2DTranspose { 2, 3, strides = 2, output_padding = 2 } end)
    refused("strides and dilation", "exclude each other",
        function() layers.Conv2DTranspose { 2, 3, strides = 2, dilation_rate = 2 } end)
    refused("steps beyond any image", "in 1 .. ",
        function() layers.Conv2DTranspose { 2, 3, strides = 100000000000000000 } end)
    refused("attention without heads", "option 'num_heads' is missing", function() layers.MultiHeadAttention {} end)
    refused("attention to no steps", "expected input with 3 dimensions",
        function() layers.MultiHeadAttention { 2, 2 } ({ steps, a }) end)
    refused("keys for other steps", "value and key must have the same steps",
        function() layers.MultiHeadAttention { 2, 2 } ({ steps, steps, moth.Input { 3, 4 } }) end)
    refused("a vocabulary of nothing", "in 1 .. ", function() layers.Embedding { 0, 4 } end)
    refused("an id beyond the vocabulary", "outside", function() layers.Embedding { 3, 2 } (moth.tensor({ { 3 } })) end)
    refused("noise without a size", "option 'stddev' is missing", function() layers.GaussianNoise {} end)
    refused("a rate above 1", "in 0 .. 1", function() layers.SpatialDropout2D(1.5) end)
    refused("channels of no image", "expected input with 4 dimensions",
        function() layers.SpatialDropout2D(0.5)(steps) end)
    refused("a negative penalty", "at least 0", function() layers.ActivityRegularization { l1 = -1 } end)
end)

describe("masks", function()
    local ids = moth.tensor({ { 3, 1, 0, 0 }, { 2, 5, 4, 1 }, { 0, 0, 0, 0 } }, { dtype = "int32" })
    local y = wave({ 3, 4, 1 }, 0.4)

    -- A model that says one number for each step, and what it says where nothing is trained.
    local function model_of_steps()
        local model = moth.Sequential {
            layers.Embedding { 6, 3, mask_zero = true, input_shape = { 4 } },
            layers.LSTM { 2, return_sequences = true }, layers.Dense { 1 },
        }
        model:compile { optimizer = moth.optimizers.SGD { lr = 0 }, loss = "mse", metrics = { "mae" } }
        return model
    end

    -- Sums over the steps that count by hand; weights are those of samples.
    local function by_hand(model, weights)
        local p, t, tokens = model:predict(ids):totable(), y:totable(), ids:totable()
        local square, distance, count = 0, 0, 0
        for i = 1, 3 do
            for k = 1, 4 do
                if tokens[i][k] ~= 0 then
                    local e = p[i][k][1] - t[i][k][1]
                    square, distance, count = square + weights[i] * e * e, distance + math.abs(e), count + 1
                end
            end
        end
        return square / count, distance / count
    end

    it("leave steps out of losses and metrics, in fit and in evaluate, with weights of samples too", function()
        local model = model_of_steps()
        local square, distance = by_hand(model, { 1, 1, 1 })
        local logs = model:fit(ids, y, { batch_size = 3, verbose = 0 }).history
        support.close(square, logs.loss[1], 1e-5, "loss of fit")
        support.close(distance, logs.mae[1], 1e-5, "metric of fit")
        local score = model:evaluate(ids, y, { batch_size = 2 })
        support.close(distance, score.mae, 1e-5, "metric of evaluate, over batches of any count")
        local weights = { 0.5, 2, 3 }
        local weighted = model:fit(ids, y, { batch_size = 3, verbose = 0, sample_weight = weights }).history
        support.close(by_hand(model, weights), weighted.loss[1], 1e-5, "weighted loss")
    end)

    it("that leave nothing give 0", function()
        local model = model_of_steps()
        local score = model:evaluate(ids:slice(1, 3, 3), y:slice(1, 3, 3))
        assert.same({ loss = 0, mae = 0 }, { loss = score.loss, mae = score.mae })
    end)

    it("end at layers that give no steps", function()
        local model = moth.Sequential {
            layers.Embedding { 6, 3, mask_zero = true, input_shape = { 4 } }, layers.Flatten {}, layers.Dense { 1 },
        }
        model:compile { loss = "mse" }
        local p, t = model:predict(ids):flatten(), moth.zeros(3, 1)
        support.close((p * p):mean():item(), model:evaluate(ids, t).loss, 1e-5, "loss")
    end)

    it("of a masked loss do not depend on the number of threads", function()
        local before, found = moth.threads(), {}
        for threads = 1, 3 do
            moth.threads(threads)
            moth.seed(11)
            local model = model_of_steps()
            model:compile { optimizer = "adam", loss = "mse" }
            local many = (wave({ 200, 4 }, 1) * 3 + 3):to("int32")
            found[threads] = model:fit(many, wave({ 200, 4, 1 }, 0.1), { epochs = 3, verbose = 0 }).history.loss
        end
        moth.threads(before)
        assert.same(found[1], found[2])
        assert.same(found[1], found[3])
    end)
end)

describe("the mask of a tensor", function()
    local values = {
        { { 1, 2 }, { 3, 4 }, { 0, 0 } }, { { 5, 6 }, { 0, 0 }, { 7, 8 } }, { { 0, 0 }, { 0, 0 }, { 0, 0 } },
    }
    local on = { { 1, 1, 0 }, { 1, 0, 1 }, { 0, 0, 0 } }
    local function masked() return layers.Masking {} (moth.tensor(values)) end

    local function shown(...)
        local list = {}
        for k, t in ipairs { ... } do
            list[k] = t.mask and t.mask:totable() or false
        end
        return list
    end

    -- Which outputs of which layer carry the mask: as Keras 3.15 has it.
    local passing = {
        { true, "Masking", {} }, { true, "Dense", { 2 } }, { true, "Activation", { "relu" } },
        { true, "Dropout", { 0.3 } },
        { true, "BatchNormalization", {} }, { true, "LayerNormalization", {} }, { true, "GaussianNoise", { 0.1 } },
        { true, "ActivityRegularization", {} }, { true, "ReLU", {} }, { true, "LeakyReLU", {} }, { true, "PReLU", {} },
        { true, "ELU", {} }, { true, "MultiHeadAttention", { 2, 3 } },
        { true, "SimpleRNN", { 2, return_sequences = true } }, { false, "GRU", { 2 } }, { false, "LSTM", { 2 } },
        { true, "TimeDistributed", { layers.Dense { 2 } } },
        { false, "Flatten", {} }, { false, "Permute", { 2, 1 } }, { false, "Conv1D", { 2, 1 } },
        { false, "MaxPooling1D", { 2 } }, { false, "AveragePooling1D", { 1 } },
        { false, "GlobalMaxPooling1D", {} }, { false, "GlobalAveragePooling1D", {} },
        { false, "Lambda", { function(x) return x * 2 end } }, { false, "Reshape", { 6 } },
        { false, "Reshape", { 3, 2 } },
    }
    for k, list in ipairs(passing) do
        local passes, name, options = table.unpack(list)
        it(("%s %s (%d)"):format(passes and "goes on through" or "ends at", name, k), function()
            local x = masked()
            for _, training in ipairs { false, true } do
                local y = layers[name](options)(x, { training = training })
                assert.same({ passes and on }, shown(y))
                assert.same({ on }, shown(x))
            end
        end)
    end

    it("goes with the sequences of a recurrent layer, not with its states", function()
        local options = { 2, return_sequences = true, return_state = true }
        assert.same({ on, false, false }, shown(layers.LSTM(options)(masked())))
        assert.same({ on, false, false }, shown(layers.Bidirectional { layers.GRU(options) } (masked())))
        options.return_state = false
        assert.same({ on, on }, shown(layers.Bidirectional { layers.GRU(options), merge_mode = "none" } (masked())))
    end)

    it("is one of several where layers join tensors", function()
        local x, y, other = masked(), masked(), { { 0, 0, 1 }, { 1, 0, 0 }, { 0, 1, 0 } }
        y.mask = moth.tensor(other, { dtype = "uint8" })
        local either, plain = { { 1, 1, 1 }, { 1, 0, 1 }, { 0, 1, 0 } }, moth.tensor(values)
        assert.same({ either }, shown(layers.Add {} { x, y }))
        assert.same({ false }, shown(layers.Add {} { x, plain }))
        assert.same({ either }, shown(layers.Concatenate {} { x, y }))
        assert.same({ { { 1, 1, 0, 1, 1, 1 }, { 1, 0, 1, 1, 1, 1 }, { 0, 0, 0, 1, 1, 1 } } },
            shown(layers.Concatenate { axis = 1 } { x, plain }))
        assert.same({ false }, shown(layers.Dot { axes = 2 } { x, y }))
    end)

    it("is of this tensor alone: operations give tensors without", function()
        local x = masked()
        assert.same({ false, false, false, false, false, false },
            shown(x * 2, x[{ { 1, 2 } }], x:reshape(3, 6), x:clone(), x:detach(), x:transpose(1, 2)))
        x:mul_(2)
        assert.same({ on }, shown(x))
    end)

    it("can be given and taken away", function()
        local x, lstm = moth.tensor(values), layers.LSTM { 3 }
        local plain, skipping = lstm(x):totable(), lstm(masked()):totable()
        assert.is_nil(x.mask)
        x.mask = moth.tensor(on, { dtype = "uint8" })
        support.close(skipping, lstm(x):totable(), 0)
        x.mask = nil
        support.close(plain, lstm(x):totable(), 0)
        assert(plain[1][1] ~= skipping[1][1])
    end)

    it("must be bytes for the steps of a sequence", function()
        local x = moth.tensor(values)
        local function try(t, mask)
            return support.fails(function() t.mask = mask end)
        end
        assert.truthy(try(x, moth.ones(3, 3)):find("mask: takes uint8 (batch, time)", 1, true))
        assert.truthy(try(x, moth.ones(3, 3)):find("got float32 (3, 3) for (3, 3, 2)", 1, true))
        assert.truthy(try(x, moth.ones({ 3, 2 }, { dtype = "uint8" })):find("got uint8 (3, 2)", 1, true))
        assert.truthy(try(x, moth.ones({ 3, 3, 2 }, { dtype = "uint8" })):find("got uint8 (3, 3, 2)", 1, true))
        assert.truthy(try(moth.ones(3, 3), moth.ones({ 3, 3 }, { dtype = "uint8" })):find("for (3, 3)", 1, true))
        assert.truthy(try(x, on):find("tensor expected", 1, true))
        assert.truthy(try(x, true):find("tensor expected", 1, true))
        assert.is_nil(x.mask)
    end)

    it("leaves steps out of a loss that is called, as Keras's losses do", function()
        local p, t = masked(), wave({ 3, 3, 2 }, 0.4)
        local sum, count = 0, 0
        for i, row in ipairs(t:totable()) do
            for k, step in ipairs(row) do
                if on[i][k] == 1 then
                    sum = sum + ((step[1] - values[i][k][1]) ^ 2 + (step[2] - values[i][k][2]) ^ 2) / 2
                    count = count + 1
                end
            end
        end
        support.close(sum / count, moth.losses.mse {} (t, p):item(), 1e-5)
    end)

    it("goes into a model and comes out of it", function()
        local lstm = layers.LSTM { 3, return_sequences = true }
        local model = moth.Sequential { lstm, layers.Dense { 1 } }
        local y, plain = model(masked()), model(moth.tensor(values))
        assert.same({ on, false }, shown(y, plain))
        assert(y[{ 1, 3, 1 }] ~= plain[{ 1, 3, 1 }])
        local first = moth.Sequential { layers.Masking {}, lstm }
        assert.equal(1, first(moth.tensor(values)):eq(lstm(masked())):all():item())
    end)

    -- A layer in Lua around two others, and one that computes with the mask.
    local function in_lua()
        local inner = layers.LSTM { 2, return_sequences = true }
        return inner, moth.Layer {
            name = "Around", call = function(_, x)
                local y = inner(x)
                if not x.mask then
                    return y
                end
                local z = y * x.mask:unsqueeze(3):to("float32")
                z.mask = x.mask
                return z
            end,
        }
    end

    it("reaches layers in Lua, and what they leave on their result goes on", function()
        local inner, around = in_lua()
        local y = around(masked())
        assert.same({ on, false }, shown(y, around(moth.tensor(values))))
        assert.equal(1, y:eq(inner(masked()) * moth.tensor(on):unsqueeze(3)):all():item())
    end)

    it("is the same one in a plan, in a compiled function and in direct calls", function()
        local _, around = in_lua()
        local model = moth.Sequential { layers.Masking { input_shape = { 3, 2 } }, around, layers.GRU { 2 } }
        local x, n = moth.tensor(values), 0
        local direct = x
        for _, layer in ipairs(model.layers) do
            direct = layer(direct)
            n = n + 1
        end
        assert.equal(3, n)
        local close = function(y) support.close(direct:totable(), y:totable(), 1e-6) end
        close(model(x))
        close(model:predict(x))
        close(moth.compile(function(z) return model(z) end)(x))
        local outside = moth.tensor(values)
        local compiled = moth.compile(function(z)
            outside.mask = z:ne(0):any(3)
            return z
        end)
        local good, message = pcall(compiled, x)
        assert.is_false(good)
        assert.truthy(message:find("a tensor from outside the traced function", 1, true), message)
    end)

    it("goes through a compiled function, from its arguments to its results", function()
        local lstm = layers.LSTM { 2, return_sequences = true }
        local through = moth.compile(function(z, other) return lstm(z), other end)
        for _, rows in ipairs { { 3, 1, 2 }, { 1, 2 }, { 2, 1, 3, 1, 2 } } do
            for _, first in ipairs { layers.Masking {}, layers.Activation "linear", layers.Masking {} } do
                local x = moth.tensor(values):index(1, moth.tensor(rows, { dtype = "int32" })):requires_grad_()
                local want = lstm(first(x))
                want:sum():backward()
                local grad = x.grad:totable()
                x:zero_grad()
                local got, seven = through(first(x), 7)
                got:sum():backward()
                assert.equal(7, seven)
                assert.same(shown(want), shown(got))
                assert.equal(first.type == "Masking", got.mask ~= nil)
                support.close(want:totable(), got:totable(), 1e-6)
                support.close(grad, x.grad:totable(), 1e-6)
            end
        end
    end)

    it("lets gradients by where a layer only takes it away", function()
        local x = moth.tensor(values):requires_grad_()
        local y = layers.Reshape { 3, 2 } (layers.Masking {} (x))
        assert.is_nil(y.mask)
        y:sum():backward()
        assert.same({ { { 1, 1 }, { 1, 1 }, { 0, 0 } } }, x.grad:slice(1, 1, 1):totable())
    end)
end)

it("token ids may come as bytes or as floats: they are not scaled", function()
    local model = moth.Sequential { layers.Embedding { 6, 3 }, layers.Flatten {}, layers.Dense { 1 } }
    local ids = moth.tensor({ { 3, 1, 0, 5 } }, { dtype = "int32" })
    model:build { 4 }
    model:compile { loss = "mse" }
    local want = model:predict(ids):item()
    assert.equal(want, model:predict(ids:to("uint8")):item())
    assert.equal(want, model:predict(ids:to("float32")):item())
end)

describe("layers that act in training only", function()
    it("GaussianNoise adds noise of its size, other layers pass", function()
        moth.seed(5)
        local x = moth.full({ 100, 200 }, 3)
        local layer = layers.GaussianNoise(0.5)
        assert.same(x:totable(), layer(x):totable())
        local y = layer(x, { training = true })
        support.close(3, y:mean():item(), 0.01, "mean")
        support.close(0.5, y:std():item(), 0.01, "deviation")
    end)

    for _, format in ipairs { "channels_last", "channels_first" } do
        it("SpatialDropout2D drops whole channels, " .. format, function()
            moth.seed(5)
            local last = format == "channels_last"
            local x = moth.ones(last and { 20, 3, 4, 50 } or { 20, 50, 3, 4 })
            local layer = layers.SpatialDropout2D { 0.25, data_format = format }
            assert.same(x:totable(), layer(x):totable())
            local y = layer(x, { training = true })
            y = last and y or y:permute { 1, 3, 4, 2 }
            local first = y:slice(2, 1, 1):slice(3, 1, 1)
            assert.same((first * moth.ones(20, 3, 4, 50)):totable(), y:contiguous():totable())
            local kept = first:gt(0):to("float32"):mean():item()
            assert(math.abs(kept - 0.75) < 0.06, "kept " .. kept)
            support.close(1 / 0.75, first:max():item(), 1e-6, "scale")
        end)
    end

    it("ActivityRegularization adds its penalty, divided by the rows, to the loss", function()
        local model = moth.Sequential { layers.ActivityRegularization { l1 = 0.1, l2 = 0.2, input_shape = { 4 } } }
        model:compile { loss = "mse" }
        local x = wave({ 3, 4 }, 0.2)
        local want = (x:abs():sum():item() * 0.1 + (x * x):sum():item() * 0.2) / 3
        support.close(want, model:evaluate(x, x).loss, 1e-5, "loss")
    end)
end)

it("weights of a wrapper lie under its name, and are frozen with it", function()
    local wrapper = layers.Bidirectional { layers.LSTM { 2 }, name = "both", trainable = false }
    local model = moth.Sequential { layers.TimeDistributed(layers.Dense { 3, input_shape = { 4 } }), wrapper }
    model:build { 5, 4 }
    local paths = {}
    for i, variable in ipairs(model:variables()) do
        paths[i] = variable.path
    end
    assert.same({
        "time_distributed_1/layer/kernel", "time_distributed_1/layer/bias",
        "both/forward/kernel", "both/forward/recurrent_kernel", "both/forward/bias",
        "both/backward/kernel", "both/backward/recurrent_kernel", "both/backward/bias",
    }, paths)
    model:compile { optimizer = "sgd", loss = "mse" }
    local _, trainable = model:count_params()
    assert.equal(15, trainable)
    wrapper.trainable = true
    model:compile { optimizer = "sgd", loss = "mse" }
    local total, all = model:count_params()
    assert.equal(total, all)
end)
