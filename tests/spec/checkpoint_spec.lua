-- Files of models: what is saved comes back, training goes on to the same bits, files that are not right are refused.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers
local fails, read, write, bits = support.refuses, support.read, support.write, support.bits

local directory = support.directory()
teardown(function() support.remove(directory) end)

local function file(name)
    return directory .. "/" .. name
end

local function same(a, b)
    return bits { a } == bits { b }
end

local function sample(n)
    return moth.rand(n, 6), moth.one_hot(moth.randint(0, 2, { n }), 3)
end

local function net(settings)
    local model = moth.Sequential {
        layers.Dense { 8, activation = "relu", input_shape = { 6 } },
        layers.Dropout(0.3),
        layers.BatchNormalization {},
        layers.Dense { 3, activation = "softmax", kernel_regularizer = "l2" },
    }
    settings = settings or {}
    settings.loss = settings.loss or "categorical_crossentropy"
    settings.optimizer = settings.optimizer or "adam"
    settings.metrics = settings.metrics or { "accuracy" }
    return model:compile(settings)
end

-- The architecture without what draws its random numbers.
local function plain_json(model)
    return (model:to_json():gsub('"stream":"%x+"', ""):gsub('"seed":"%x+"', ""))
end

-- ---- every layer ----------------------------------------------------------------------------------------------------

-- A layer of each type with options that differ from the defaults, and the shape of one sample.
local each_layer = {
    Activation = { { 4 }, function() return layers.Activation "tanh" end },
    AveragePooling1D = { { 6, 3 }, function() return layers.AveragePooling1D { 3, strides = 2, padding = "same" } end },
    AveragePooling2D = { { 6, 6, 2 }, function() return layers.AveragePooling2D { 3, strides = 2 } end },
    BatchNormalization = { { 4 }, function() return layers.BatchNormalization { momentum = 0.5, epsilon = 0.01 } end },
    Conv1D = { { 8, 3 }, function() return layers.Conv1D { 4, 3, strides = 2, activation = "relu" } end },
    Conv2D = { { 6, 6, 2 }, function()
        return layers.Conv2D { 3, { 3, 2 }, padding = "same", use_bias = false, kernel_initializer = "he_normal" }
    end },
    Dense = { { 4 }, function()
        return layers.Dense { 3, activation = moth.activations.leaky_relu { 0.1 }, bias_initializer = "ones",
            kernel_regularizer = moth.regularizers.l1_l2 { 0.1, 0.2 }, kernel_constraint = "max_norm" }
    end },
    Dropout = { { 4 }, function() return layers.Dropout(0.7) end },
    Flatten = { { 2, 3 }, function() return layers.Flatten {} end },
    GRU = { { 5, 3 }, function() return layers.GRU { 4, return_sequences = true } end },
    GlobalAveragePooling1D = { { 5, 3 }, function() return layers.GlobalAveragePooling1D {} end },
    GlobalAveragePooling2D = { { 4, 4, 3 }, function() return layers.GlobalAveragePooling2D {} end },
    GlobalMaxPooling1D = { { 5, 3 }, function() return layers.GlobalMaxPooling1D {} end },
    GlobalMaxPooling2D = { { 4, 4, 3 }, function() return layers.GlobalMaxPooling2D {} end },
    LSTM = { { 5, 3 }, function() return layers.LSTM { 4, go_backwards = true, dropout = 0.1 } end },
    LayerNormalization = { { 4 }, function() return layers.LayerNormalization { epsilon = 0.1 } end },
    MaxPooling1D = { { 6, 3 }, function() return layers.MaxPooling1D { 2 } end },
    MaxPooling2D = { { 6, 6, 2 }, function() return layers.MaxPooling2D { { 2, 3 }, padding = "same" } end },
    Permute = { { 2, 3 }, function() return layers.Permute { 2, 1 } end },
    RepeatVector = { { 4 }, function() return layers.RepeatVector(3) end },
    Reshape = { { 6 }, function() return layers.Reshape { 2, 3 } end },
    SimpleRNN = { { 5, 3 }, function() return layers.SimpleRNN { 4, activation = "relu" } end },
}
-- Lambda and Custom are tested below, the others in layers_spec.lua.
local elsewhere = {}
for name in ([[
    Lambda Custom
    Add Subtract Multiply Average Maximum Minimum Concatenate Dot ReLU LeakyReLU ELU PReLU Softmax
    GaussianNoise SpatialDropout2D ActivityRegularization Masking Embedding Bidirectional TimeDistributed
    ZeroPadding2D UpSampling2D DepthwiseConv2D SeparableConv2D Conv2DTranspose MultiHeadAttention
]]):gmatch "%S+" do
    elsewhere[name] = true
end

local function is_alias(name)
    return require("moth.core").aliases("layers")[name] ~= nil
end

describe("a saved layer", function()
    local names = {}
    for name in pairs(layers) do
        if not is_alias(name) and not elsewhere[name] then
            names[#names + 1] = name
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        it(name .. " computes the same when it is loaded", function()
            local case = assert(each_layer[name], "no example of this layer")
            local input = moth.Input(case[1])
            local model = moth.Model { inputs = input, outputs = case[2]()(input) }
            local weights = model:get_weights()
            for i, w in ipairs(weights) do
                weights[i] = w + moth.rand(w.shape) -- also what starts as 0 or 1
            end
            model:set_weights(weights)
            local x = moth.randn(2, table.unpack(case[1]))
            model:save(file "layer.safetensors")
            local loaded = moth.load_model(file "layer.safetensors")
            assert(same(model:predict(x), loaded:predict(x)))
            assert.equal(bits(model:get_weights()), bits(loaded:get_weights()))
            assert.equal(model:to_json(), loaded:to_json())
            local fresh = moth.model_from_json(model:to_json(2))
            assert.equal(plain_json(model), plain_json(fresh))
            assert.equal(#weights, #fresh:get_weights())
            model:compile { loss = "mse" }
            local y = moth.zeros(model:predict(x).shape)
            model:fit(x, y, { verbose = 0 })
            model:save(file "layer.safetensors")
            assert.equal(bits(model:get_weights()), bits(moth.load_model(file "layer.safetensors"):get_weights()))
        end)
    end
end)

describe("a saved model", function()
    it("of any graph comes back with its names, shared layers and outputs", function()
        local a, b = moth.Input { 4, name = "a" }, moth.Input { 4, name = "b" }
        local shared = layers.Dense { 4, activation = "tanh", name = "shared" }
        local model = moth.Model { name = "twins", inputs = { a, b }, outputs = {
            left = layers.Dense { 2, name = "left" }(shared(shared(a))), right = shared(b) } }
        model:get_layer("left").trainable = false
        model:compile { loss = { left = "mse", right = "mae" }, loss_weights = { left = 0.5 },
            metrics = { left = "mae" } }
        local x, y = { moth.rand(6, 4), moth.rand(6, 4) }, { left = moth.rand(6, 2), right = moth.rand(6, 4) }
        model:fit(x, y, { verbose = 0 })
        model:save(file "graph.safetensors")
        local loaded = moth.load_model(file "graph.safetensors")
        assert.equal("twins", loaded.name)
        assert.same(model.output_names, loaded.output_names)
        assert.same(model:evaluate(x, y), loaded:evaluate(x, y))
        assert.equal(false, loaded:get_layer("left").trainable)
        assert.equal(4, #loaded:get_weights())
        local before = bits(loaded:get_layer("left"):get_weights())
        loaded:fit(x, y, { verbose = 0 })
        model:fit(x, y, { verbose = 0 })
        assert.equal(bits(model:get_weights()), bits(loaded:get_weights()))
        assert.equal(before, bits(loaded:get_layer("left"):get_weights()))
    end)

    it("keeps input_scale, and compile = false leaves training out", function()
        local model = net { input_scale = 0.25 }
        local bytes = moth.randint(0, 255, { 3, 6 }):to("uint8")
        model:save(file "scale.safetensors")
        for _, compile in ipairs { true, false } do
            local loaded = moth.load_model(file "scale.safetensors", { compile = compile })
            assert(same(model:predict(bytes), loaded:predict(bytes)))
        end
        local plain = moth.load_model(file "scale.safetensors", { compile = false })
        assert.equal(nil, plain.optimizer)
        fails("not compiled", function() plain:evaluate(sample(3)) end)
        plain:compile { optimizer = "sgd", loss = "mse" }
        plain:fit(moth.rand(4, 6), moth.rand(4, 3), { verbose = 0 })
    end)

    it("that was never compiled is saved all the same", function()
        local model = moth.Sequential { layers.Dense { 2, input_shape = { 3 } } }
        model:save(file "plain.safetensors")
        local x = moth.rand(2, 3)
        local loaded = moth.load_model(file "plain.safetensors")
        assert(same(model:predict(x), loaded:predict(x)))
        fails("not compiled", function() loaded:fit(x, moth.rand(2, 2), { verbose = 0 }) end)
    end)

    it("is a function of its content: the same bytes twice, also through a load", function()
        moth.seed(3)
        local x, y = sample(10)
        local model = net()
        model:fit(x, y, { verbose = 0 })
        model:save(file "one.safetensors")
        model:save(file "two.safetensors")
        assert(read(file "one.safetensors") == read(file "two.safetensors"))
        moth.load_model(file "one.safetensors"):save(file "two.safetensors")
        assert(read(file "one.safetensors") == read(file "two.safetensors"))
        moth.seed(3)
        x, y = sample(10)
        model = net()
        model:fit(x, y, { verbose = 0 })
        model:save(file "two.safetensors")
        assert(read(file "one.safetensors") == read(file "two.safetensors"))
    end)

    it("can be read as safetensors", function()
        local model = net()
        model:save(file "open.safetensors")
        local tensors = moth.load_tensors(file "open.safetensors")
        assert(same(model:get_layer("dense_1"):get_weights()[1], tensors["dense_1/kernel"]))
    end)

    it("holds no functions: losses in Lua are compiled again after loading", function()
        local model = net { loss = function(a, b) return (a - b):square():mean(-1) end }
        local x, y = sample(6)
        model:fit(x, y, { verbose = 0 })
        model:save(file "function.safetensors")
        local loaded = moth.load_model(file "function.safetensors")
        assert(same(model:predict(x), loaded:predict(x)))
        fails("not compiled", function() loaded:fit(x, y, { verbose = 0 }) end)
    end)
end)

describe("training that goes on after a load", function()
    local optimizers = {
        { "SGD with momentum", function() return moth.optimizers.SGD { 0.05, momentum = 0.9, nesterov = true } end },
        { "RMSprop", function() return moth.optimizers.RMSprop { momentum = 0.5, centered = true } end },
        { "Adam", function() return moth.optimizers.Adam { 0.01 } end },
        { "Adam with amsgrad and clipping", function()
            return moth.optimizers.Adam { 0.01, amsgrad = true, global_clipnorm = 0.5 }
        end },
        { "AdamW with a schedule", function()
            return moth.optimizers.AdamW { moth.schedules.CosineDecay { 0.05, 20 }, weight_decay = 0.01 }
        end },
        { "Nadam", function() return moth.optimizers.Nadam { 0.01 } end },
        { "Adadelta", function() return moth.optimizers.Adadelta { 1 } end },
        { "Lion with ExponentialDecay", function()
            return moth.optimizers.Lion { moth.schedules.ExponentialDecay { 0.01, 3, 0.5 } }
        end },
    }
    for _, case in ipairs(optimizers) do
        it("comes to the same bits as training that never stopped: " .. case[1], function()
            moth.seed(7)
            local x, y = sample(30)
            local model = net { optimizer = case[2]() }
            local options = { epochs = 2, batch_size = 8, validation_split = 0.2, verbose = 0 }
            model:fit(x, y, options)
            model:save(file "resume.safetensors")
            options.epochs, options.initial_epoch = 5, 2
            local want = model:fit(x, y, options).history
            moth.seed(99) -- nothing may come from the context
            moth.rand(10)
            local loaded = moth.load_model(file "resume.safetensors")
            local got = loaded:fit(x, y, options).history
            assert.same(want, got)
            assert.equal(bits(model:get_weights()), bits(loaded:get_weights()))
            assert.equal(model.optimizer.iterations, loaded.optimizer.iterations)
            assert.equal(model.optimizer.learning_rate, loaded.optimizer.learning_rate)
        end)
    end

    it("with a learning rate that was set by hand", function()
        moth.seed(8)
        local x, y = sample(12)
        local model = net()
        model.optimizer.learning_rate = 0.123
        model:fit(x, y, { verbose = 0 })
        model:save(file "rate.safetensors")
        local loaded = moth.load_model(file "rate.safetensors")
        assert.equal(model.optimizer.learning_rate, loaded.optimizer.learning_rate)
        model:fit(x, y, { verbose = 0 })
        loaded:fit(x, y, { verbose = 0 })
        assert.equal(bits(model:get_weights()), bits(loaded:get_weights()))
    end)
end)

describe("layers in Lua", function()
    local function scale_layer(factor)
        return moth.Layer {
            name = "Scale", config = { factor = factor or 2 },
            build = function(self, shape) self.w = self:add_weight("w", shape, "ones") end,
            call = function(self, x) return x * self.w * self.factor end,
        }
    end

    it("come back through custom, with their config and weights", function()
        local model = moth.Sequential { layers.Dense { 3, input_shape = { 2 } }, scale_layer(5) }
        model:compile { optimizer = "sgd", loss = "mse" }
        local x, y = moth.rand(6, 2), moth.rand(6, 3)
        model:fit(x, y, { verbose = 0 })
        model:save(file "custom.safetensors")
        local loaded = moth.load_model(file "custom.safetensors", { custom = { Scale = scale_layer() } })
        assert.equal(5, loaded.layers[2].factor)
        assert(same(model:predict(x), loaded:predict(x)))
        model:fit(x, y, { verbose = 0 })
        loaded:fit(x, y, { verbose = 0 })
        assert.equal(bits(model:get_weights()), bits(loaded:get_weights()))
        local copy = loaded:clone()
        copy:set_weights(loaded:get_weights())
        assert(same(copy:predict(x), loaded:predict(x)))
        local fresh = moth.model_from_json(model:to_json(), { custom = { Scale = scale_layer() } })
        assert.equal(3, #fresh:get_weights())
    end)

    it("are asked for when custom does not have them", function()
        local model = moth.Sequential { layers.Dense { 3, input_shape = { 2 } }, scale_layer() }
        model:save(file "custom.safetensors")
        local path = file "custom.safetensors"
        fails('custom = { ["Scale"] = layer }', function() moth.load_model(path) end)
        fails('custom = { ["Scale"] = layer }', function() moth.load_model(path, { custom = { Scale = print } }) end)
        fails('custom = { ["Scale"] = layer }', function()
            moth.load_model(path, { custom = { Scale = layers.Dense { 3 } } })
        end)
        fails("custom must be a table", function() moth.load_model(path, { custom = 3 }) end)
        fails('did you mean "custom"?', function() moth.load_model(path, { costum = {} }) end)
        local other = moth.Layer { name = "Scale", call = function(_, x) return x end }
        fails("'scale", function() moth.load_model(path, { custom = { Scale = other } }) end)
        local broken = moth.Layer { name = "Scale", build = function() error("broken build") end,
            call = function(_, x) return x end }
        fails("broken build", function() moth.load_model(path, { custom = { Scale = broken } }) end)
    end)

    it("Lambda is saved by its name only", function()
        local function twice(x) return x * 2 end
        local named = moth.Sequential { layers.Lambda { twice, name = "twice", input_shape = { 2 } } }
        named:save(file "lambda.safetensors")
        local x = moth.rand(3, 2)
        local loaded = moth.load_model(file "lambda.safetensors", { custom = { twice = twice } })
        assert(same(x * 2, loaded:predict(x)))
        assert(same(x * 2, named:clone():predict(x)))
        fails('custom = { ["twice"] = function }', function() moth.load_model(file "lambda.safetensors") end)
        local unnamed = moth.Sequential { layers.Lambda { twice, input_shape = { 2 } } }
        fails("name", function() unnamed:save(file "unnamed.safetensors") end)
        assert.equal(nil, io.open(file "unnamed.safetensors"))
    end)
end)

describe("weights alone", function()
    it("are saved and loaded into the same layers", function()
        local a, b = net(), net()
        a:save_weights(file "weights.safetensors")
        b:load_weights(file "weights.safetensors")
        assert.equal(bits(a:get_weights()), bits(b:get_weights()))
        a:save(file "whole.safetensors")
        b:reset(4)
        b:load_weights(file "whole.safetensors")
        assert.equal(bits(a:get_weights()), bits(b:get_weights()))
        fails("holds weights only", function() moth.load_model(file "weights.safetensors") end)
    end)

    it("change nothing when a layer is missing, too many or of another shape", function()
        net():save_weights(file "weights.safetensors")
        local function stack(...)
            return moth.Sequential { ... }
        end
        local others = {
            { "expected float32", stack(layers.Dense { 8, input_shape = { 6 } }, layers.BatchNormalization {},
                layers.Dense { 4 }) },
            { "belongs to no layer", stack(layers.Dense { 8, input_shape = { 6 } }, layers.Dense { 3 }) },
            { "is missing", stack(layers.Dense { 8, input_shape = { 6 } }, layers.BatchNormalization {},
                layers.Dense { 3 }, layers.Dense { 3 }) },
            { "belongs to no", stack(layers.Dense { 8, input_shape = { 6 }, use_bias = false },
                layers.BatchNormalization {}, layers.Dense { 3 }) },
        }
        for _, case in ipairs(others) do
            local before = bits(case[2]:get_weights())
            fails(case[1], function() case[2]:load_weights(file "weights.safetensors") end)
            assert.equal(before, bits(case[2]:get_weights()))
        end
        fails("input_shape", function() stack(layers.Dense { 2 }):load_weights(file "weights.safetensors") end)
    end)
end)

describe("a file that is not right", function()
    moth.seed(5)
    local x, y = sample(8)
    local model = net()
    model:fit(x, y, { verbose = 0 })
    model:save(file "good.safetensors")
    local good = read(file "good.safetensors")

    -- Nothing of a model that is in use may change.
    local function refused(text, pattern)
        local path = write(file "bad.safetensors", text)
        local before = bits(model:get_weights())
        local err = support.refusal(function() moth.load_model(path) end)
        assert(err:find("bad.safetensors", 1, true), "the file is not named: " .. err)
        if pattern then
            assert(err:find(pattern, 1, true), ("%q is not in: %s"):format(pattern, err))
        end
        assert.equal(before, bits(model:get_weights()))
        return err
    end

    local function with_header(change)
        local size = string.unpack("<I8", good)
        local header = change(good:sub(9, 8 + size))
        return string.pack("<I8", #header) .. header .. good:sub(9 + size)
    end

    local function replaced(from, to)
        return with_header(function(header)
            local at, last = header:find(from, 1, true)
            assert(at, from .. " is not in the header: " .. header)
            return header:sub(1, at - 1) .. to .. header:sub(last + 1)
        end)
    end

    it("is refused wherever it is cut", function()
        for at = 0, #good - 1, 61 do
            refused(good:sub(1, at))
        end
        refused(good .. "x")
    end)

    it("is refused or loads as what it says when a byte of its header is another", function()
        moth.seed(6)
        local size = string.unpack("<I8", good)
        local positions = moth.randint(1, 8 + size, { 400 }):totable()
        local bytes = moth.randint(0, 255, { 400 }):totable()
        for i, at in ipairs(positions) do
            write(file "bad.safetensors", good:sub(1, at - 1) .. string.char(bytes[i]) .. good:sub(at + 1))
            local loaded, result = pcall(moth.load_model, file "bad.safetensors")
            if not loaded then
                assert(not result:find("%c"), result)
            else
                assert.equal(3, #result.output_shapes[1] > 0 and result.output_shapes[1][1] or 3)
            end
        end
    end)

    it("is refused when it is of a newer format, foreign or no model", function()
        refused(replaced('"format_version":"1"', '"format_version":"2"'), "newer moth")
        refused(replaced('"format_version":"1"', '"format_version":"x"'), "format_version")
        refused(replaced('"format_version":"1"', '"format_version":""'), "format_version")
        refused(replaced('"format":"moth"', '"format":"pt"'), "no model of moth")
        moth.save_tensors(file "foreign.safetensors", { a = moth.ones(2) })
        refused(read(file "foreign.safetensors"), "no model of moth")
        refused("", nil)
        refused("hello", nil)
        refused("\137PNG\r\n\26\n" .. ("x"):rep(100), nil)
        refused(("\255"):rep(64), nil)
        fails("none.safetensors", function() moth.load_model(file "none.safetensors") end)
        support.refusal(function() moth.load_model(directory) end)
        support.refusal(function() moth.load_model() end)
        support.refusal(function() moth.load_model(3) end)
        support.refusal(function() moth.load_model("a\0b") end)
    end)

    it("is refused when its architecture does not fit its tensors, or is none", function()
        refused(replaced([[\"units\":8]], [[\"units\":9]]), "dense_1")
        refused(replaced([[\"units\":8]], [[\"units\":-8]]), "units")
        refused(replaced([[\"units\":8]], [[\"units\":4611686018427387904]]))
        refused(replaced([[\"class\":\"Dense\"]], [[\"class\":\"Dance\"]]), "Dance")
        refused(replaced([[\"class\":\"Sequential\"]], [[\"class\":\"Sequence\"]]))
        refused(replaced([[\"layers\":[]], [[\"leyers\":[]]))
        refused(replaced([[\"use_bias\":true]], [[\"use_bias\":3]]), "use_bias")
        refused(replaced([[\"use_bias\":true]], [[\"use_bias\":false]]), "belongs to no")
        refused(replaced('"dense_1/bias"', '"dense_1/bios"'), "dense_1/bi")
        refused(replaced('"optimizer/dense_1/bias/', '"optimizer/dense_1/bios/'), "Adam")
        refused(replaced([[\"input_scale\":]], [[\"input_scale\":\"a\",\"b\":]]))
        refused(replaced([[\"iterations\":1]], [[\"iterations\":-1]]), "iterations")
        refused(replaced([[\"class\":\"Adam\"]], [[\"class\":\"Adamant\"]]), "Adamant")
        refused(replaced([[\"class\":\"categorical_crossentropy\"]], [[\"class\":\"crossness\"]]), "crossness")
    end)

    it("is refused before memory is asked for that its tensors cannot fill", function()
        -- 600,000,000 numbers for a file of a few hundred.
        local err = refused(replaced([[\"units\":8]], [[\"units\":100000000]]))
        assert(err:find("dense_1: the file holds fewer weights than the layer has", 1, true), err)
        refused(replaced([=[\"shape\":[6]]=], [=[\"shape\":[6,549755813888,549755813888]]=]), "at most 2^40 elements")
        refused(replaced([[\"iterations\":1]], [[\"iterations\":9223372036854775807]]), "iterations")
    end)

    it("is refused by resume, which then changes nothing", function()
        local function state()
            model:save(file "state.safetensors")
            return read(file "state.safetensors")
        end
        local before = state()
        for from, to in pairs {
            [ [[\"rate\":null]] ] = [[\"rate\":-1]],
            [ [[\"iterations\":1]] ] = [[\"iterations\":9223372036854775807]],
            [ [[\"stream\":\"]] ] = [[\"stream\":\"x]], [ [[\"step\":\"]] ] = [[\"step\":\"x]],
        } do
            local changed = replaced(from, to)
            -- The rate alone would be taken over before the model is looked at.
            changed = changed:gsub([[\"rate\":null]], [[\"rate\":0.5 ]], 1)
            write(file "bad.safetensors", changed)
            local err = support.refusal(function() model:resume(file "bad.safetensors") end)
            assert(err:find("bad.safetensors", 1, true), "the file is not named: " .. err)
            assert.equal(before, state())
        end
    end)

    it("is refused by load_weights too, which then changes nothing", function()
        write(file "bad.safetensors", good:sub(1, #good - 1))
        local before = bits(model:get_weights())
        support.refusal(function() model:load_weights(file "bad.safetensors") end)
        write(file "bad.safetensors", replaced('"dense_1/bias"', '"dense_1/bios"'))
        support.refusal(function() model:load_weights(file "bad.safetensors") end)
        assert.equal(before, bits(model:get_weights()))
    end)
end)

describe("saving", function()
    it("where it cannot is an error that names the path, and leaves what was there", function()
        local model = net()
        fails(file "no/where.safetensors", function() model:save(file "no/where.safetensors") end)
        support.refusal(function() model:save(directory) end)
        support.refusal(function() model:save("") end)
        support.refusal(function() model:save() end)
        fails(file "no/where.safetensors", function() model:save_weights(file "no/where.safetensors") end)
        fails("/proc/", function() model:save("/proc/m.safetensors") end)
    end)

    it("replaces a file whole and leaves no other behind", function()
        assert(os.execute("mkdir " .. file "alone"))
        local model = net()
        model:save(file "alone/m.safetensors")
        model:fit(sample(4), moth.rand(4, 3), { verbose = 0 })
        model:save(file "alone/m.safetensors")
        local list = io.popen("ls -A " .. file "alone")
        assert.equal("m.safetensors\n", list:read("a"))
        list:close()
        assert.equal(bits(model:get_weights()), bits(moth.load_model(file "alone/m.safetensors"):get_weights()))
    end)
end)

describe("JSON", function()
    it("describes the model, whose weights are then new", function()
        local model = net()
        local fresh = moth.model_from_json(model:to_json())
        assert.equal(plain_json(model), plain_json(fresh))
        assert.equal(plain_json(model), plain_json(moth.model_from_json(model:to_json(4))))
        assert.equal(#model:get_weights(), #fresh:get_weights())
        fresh:compile { loss = "mse" }
        fresh:fit(moth.rand(4, 6), moth.rand(4, 3), { verbose = 0 })
    end)

    it("that is bad is refused", function()
        local text = net():to_json()
        for at = 1, #text - 1, 37 do
            support.refusal(function() moth.model_from_json(text:sub(1, at)) end)
        end
        for _, bad in ipairs { "", "null", "3", "[]", "{}", '"x"', '{"class":"Sequential"}', text .. "}",
            ("["):rep(10000) } do
            support.refusal(function() moth.model_from_json(bad) end)
        end
        local input = moth.Input { 4 }
        local graph = moth.Model { inputs = input, outputs = layers.Dense { 2 }(layers.Dense { 3 }(input)) }
        local changes = {
            { text, "Dense", "Danse" }, { text, '"units":8', '"units":"8"' }, { text, '"units":8', '"units":1e300' },
            { text, '"name":"dense_1"', '"name":3' }, { text, '"name":"dense_1"', '"name":"dense_2"' },
            { text, '"seed":"%x+"', '"seed":"zz"' }, { text, '"step":"%x+"', '"step":0' },
            { text, '"shape":%[6%]', '"shape":[7]' }, { text, '"shape":%[6%]', '"shape":[-6]' },
            { text, '"shape":%[6%]', '"shape":[7,7,7,7,7,7,7,7,7,7]' }, { text, '"float32"', '"float64"' },
            { text, '"class":"relu"', '"class":"rel"' }, { text, '"rate":0.3', '"rate":1.5' },
            { text, '"units":8', '"units":8,"units":8' }, { text, '"units":8', '"units":8,"uni":8' },
            { graph, '"outputs":%[.-%]', '"outputs":[]' }, { graph, '"use":%d+', '"use":999' },
            { graph, '"use":%d+', '"use":-1' }, { graph, '"output":0', '"output":5' },
            { graph, '"layer":0', '"layer":7' }, { graph, '"from":%[%[0,0%]%]', '"from":[[2,0]]' },
            { graph, '"from":%[%[0,0%]%]', '"from":[]' }, { graph, '"from":%[%[0,0%]%]', '"from":3' },
            { graph, '"shape":%[4%]', '"shape":[4,"x"]' }, { graph, '"inputs":%[.-%]', '"inputs":{}' },
        }
        for _, change in ipairs(changes) do
            local whole = type(change[1]) == "string" and change[1] or change[1]:to_json()
            local bad, count = whole:gsub(change[2], change[3])
            assert(count > 0, change[2] .. " is not in " .. whole)
            support.refusal(function() moth.model_from_json(bad) end)
        end
        fails("at most 2^40 elements", function()
            moth.model_from_json((graph:to_json():gsub('"shape":%[4%]', '"shape":[1048576,1048576,1048576]')))
        end)
        local many = ('{"class":"Dropout","config":{"rate":0.5},"stream":"%016d"},'):format(0):rep(10001)
        fails("a list of at most 10000", function()
            moth.model_from_json((text:gsub('"layers":%[.*"name":"sequential"', function()
                return '"layers":[' .. many:sub(1, -2) .. '],"name":"sequential"'
            end)))
        end)
        support.refusal(function() moth.model_from_json() end)
        support.refusal(function() moth.model_from_json(3) end)
        support.refusal(function() moth.model_from_json("{\"a\0b\":1}") end)
        support.refusal(function() net():to_json(-1) end)
    end)
end)
