-- Models: how they are put together, described, compiled, read and written, and what is said of mistakes.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers
local fails = support.refuses

local function net()
    return moth.Sequential {
        layers.Dense { 5, input_shape = { 4 }, activation = "relu" },
        layers.Dense { 3, activation = "softmax" },
    }
end

local function largest_difference(a, b)
    return (a - b):abs():max():item()
end

local function printed(f)
    local lines, print_before = {}, print
    _G.print = function(...)
        lines[#lines + 1] = table.concat({ ... }, "\t")
    end
    local good, err = pcall(f)
    _G.print = print_before
    assert(good, err)
    return table.concat(lines, "\n") .. "\n"
end

describe("names", function()
    it("of layers, weights, models, inputs and outputs are short and printable", function()
        local rule = "a name has at most 120 bytes and no control characters"
        local function inputs_named(name)
            local a = moth.Input { 2 }
            return moth.Model { { [name] = a, other = moth.Input { 2 } }, layers.Dense(1)(a) }
        end
        local makers = {
            function(name) return layers.Dense { 2, name = name } end,
            function(name) return moth.Sequential { name = name } end,
            function(name) return moth.Layer { name = name, call = print } end,
            inputs_named,
            function(name)
                local a = moth.Input { 2 }
                return moth.Model { a, { [name] = layers.Dense(1)(a), other = a } }
            end,
            function(name)
                local layer = moth.Layer { name = "Own", input_shape = { 2 }, call = function(_, x) return x end,
                    build = function(self, shape) self:add_weight(name, shape) end }
                return moth.Sequential { layer }
            end,
        }
        for _, make in ipairs(makers) do
            for _, name in ipairs { ("n"):rep(121), "a\nb", "\27[31mred", "\u{9B}31m", "\127" } do
                local fine, message = pcall(make, name)
                assert.is_false(fine)
                assert.is_truthy(message:find(rule, 1, true), message)
                assert.is_nil(message:find("%c"), message)
            end
            assert.is_truthy(make(("n"):rep(120)))
            assert.is_truthy(make("größe 数"))
        end
    end)

    it("of the longest kind come back from files", function()
        local file = os.tmpname()
        finally(function() os.remove(file) end)
        local name = ("n"):rep(119)
        local inner = layers.Dense { 2, name = name .. "3" }
        local model = moth.Sequential { layers.TimeDistributed { inner, name = name .. "2",
            input_shape = { 4, 2 } } }
        model:save(file)
        assert.are.equal(name .. "2", moth.load_model(file).layers[1].name)
    end)
end)

describe("summary", function()
    it("prints the table of the reference document", function()
        local model = moth.Sequential {}
        model:add(layers.Dense { 128, input_shape = { 784 }, name = "dense_2" })
        model:add(layers.Activation { "relu", name = "activation_2" })
        model:add(layers.Dense { 128, name = "dense_3" })
        model:add(layers.Activation { "relu", name = "activation_3" })
        model:add(layers.Dense { 10, name = "dense_4" })
        model:add(layers.Activation { "softmax", name = "activation_4" })
        local rule, double = ("_"):rep(65), ("="):rep(65)
        assert.equal(table.concat({
            rule,
            "Layer (type)                 Output Shape              Param #   ",
            double,
            "dense_2 (Dense)              (None, 128)               100480    ",
            rule,
            "activation_2 (Activation)    (None, 128)               0         ",
            rule,
            "dense_3 (Dense)              (None, 128)               16512     ",
            rule,
            "activation_3 (Activation)    (None, 128)               0         ",
            rule,
            "dense_4 (Dense)              (None, 10)                1290      ",
            rule,
            "activation_4 (Activation)    (None, 10)                0         ",
            double,
            "Total params: 118,282",
            "Trainable params: 118,282",
            "Non-trainable params: 0",
            rule,
        }, "\n") .. "\n", printed(function() model:summary() end))
        assert.equal(118282, (model:count_params()))
    end)

    it("numbers the layers of each type from 1 in every model", function()
        for _ = 1, 2 do
            local model = moth.Sequential { layers.Dense { 2, input_shape = { 3 } }, layers.Activation "relu",
                layers.Dense { 2 } }
            local names = {}
            for i, layer in ipairs(model.layers) do
                names[i] = layer.name
            end
            assert.same({ "dense_1", "activation_1", "dense_2" }, names)
        end
    end)

    it("counts a shared layer once and frozen weights apart", function()
        local a = moth.Input { 4 }
        local shared = layers.Dense { 4, name = "shared" }
        local frozen = layers.Dense { 2, name = "frozen", trainable = false }
        local model = moth.Model { inputs = a, outputs = frozen(shared(shared(a))) }
        local text = printed(function() model:summary() end)
        assert(text:find("Total params: 30\n", 1, true), text)
        assert(text:find("Trainable params: 20\n", 1, true), text)
        assert(text:find("Non-trainable params: 10\n", 1, true), text)
        local total, trainable = model:count_params()
        assert.same({ 30, 20 }, { total, trainable })
    end)

    it("cannot be asked before the shape of the input is known", function()
        local model = moth.Sequential { layers.Dense { 2 } }
        fails("input_shape", function() model:summary() end)
    end)
end)

describe("Sequential", function()
    it("grows by add, which gives the model back", function()
        local model = moth.Sequential { name = "small" }
        assert.equal(model, model:add(layers.Dense { 5, input_shape = { 4 } }))
        model:add(layers.Dropout(0.3)):add(layers.Dense { 2 })
        assert.equal(3, #model.layers)
        assert.equal("small", model.name)
        assert.same({ { 4 } }, model.input_shapes)
        assert.same({ { 2 } }, model.output_shapes)
    end)

    it("without input_shape takes its shape from the first data", function()
        local model = moth.Sequential { layers.Dense { 3 }, layers.Dense { 2 } }
        model:compile { optimizer = "sgd", loss = "mse" }
        model:fit(moth.rand(6, 4), moth.rand(6, 2), { verbose = 0 })
        assert.same({ 4, 3 }, model:get_weights()[1].shape)
        assert.same({ 6, 2 }, model:predict(moth.rand(6, 4)).shape)
    end)

    it("accepts input_dim, uniform and lr as their Keras names", function()
        local layer = layers.Dense { 3, input_dim = 4, init = nil, kernel_initializer = "uniform" }
        local model = moth.Sequential { layer }
        assert.same({ { 4 } }, model.input_shapes)
        assert(model:get_weights()[1]:abs():max():item() <= 0.05)
        assert.near(0.25, moth.optimizers.SGD { lr = 0.25 }.learning_rate, 1e-12)
    end)

    it("takes options of optimizers and metrics by position in Keras's order", function()
        local made = moth.optimizers
        local function given(optimizer, options)
            for name, value in pairs(options) do
                assert.equal(value, optimizer.config[name], name)
            end
        end
        given(made.SGD { 0.1, 0.9, true }, { learning_rate = 0.1, momentum = 0.9, nesterov = true })
        given(made.RMSprop { 0.1, 0.5, 0.25, 1e-5, true },
            { rho = 0.5, momentum = 0.25, epsilon = 1e-5, centered = true })
        given(made.Adam { 0.1, 0.8, 0.95, 1e-6, true }, { beta_1 = 0.8, beta_2 = 0.95, epsilon = 1e-6, amsgrad = true })
        given(made.AdamW { 0.1, 0.5, 0.8 }, { weight_decay = 0.5, beta_1 = 0.8, beta_2 = 0.999 })
        given(made.Nadam { 0.1, 0.8, 0.95, 1e-6 }, { beta_1 = 0.8, beta_2 = 0.95, epsilon = 1e-6 })
        given(made.Adamax { 0.1, 0.8, 0.95, 1e-6 }, { beta_1 = 0.8, beta_2 = 0.95, epsilon = 1e-6 })
        given(made.Adagrad { 0.1, 0.5, 1e-6 }, { initial_accumulator_value = 0.5, epsilon = 1e-6 })
        given(made.Adadelta { 0.1, 0.5, 1e-6 }, { rho = 0.5, epsilon = 1e-6 })
        given(made.Lion { 0.1, 0.8, 0.95, 0.25 }, { beta_1 = 0.8, beta_2 = 0.95, weight_decay = 0.25 })
        assert.equal(moth.schedules, made.schedules)
        local model = moth.Sequential { layers.Dense { 1, input_shape = { 2 } } }
        model:compile { "adam", "mse", metrics = { "mae" } }
        assert.equal("Adam", model.optimizer.config.class)
        local recall = moth.metrics.recall { 0.25, 2, 1 }
        assert.same({ 0.25, 2, 1 }, { recall.thresholds, recall.top_k, recall.class_id })
    end)

    it("shows itself as text", function()
        assert.equal("Sequential 'sequential' (2 layers)", tostring(net()))
        assert.equal("layers.Dense dense_1", tostring(net().layers[1]))
    end)

    it("refuses what is no layer, twice the same layer or name, and layers after compile", function()
        fails("entry 2 must be a layer; got \"relu\"", function()
            moth.Sequential { layers.Dense { 2, input_shape = { 3 } }, "relu" }
        end)
        fails("expected a table of layers", function() moth.Sequential(3) end)
        fails('unknown option "nmae"; did you mean "name"?', function() moth.Sequential { nmae = "a" } end)
        local same = layers.Dense { 3, input_shape = { 3 } }
        fails("in the model already", function() moth.Sequential { same, same } end)
        fails("names must differ", function()
            moth.Sequential { layers.Dense { 3, name = "a", input_shape = { 2 } }, layers.Dense { 3, name = "a" } }
        end)
        local model = net()
        model:compile { loss = "mse" }
        fails("add: the model is compiled", function() model:add(layers.Dense { 2 }) end)
        fails("layer expected", function() net():add(3) end)
    end)

    it("names the layer whose input does not fit", function()
        fails("pool", function()
            moth.Sequential { layers.Dense { 4, input_shape = { 3 } }, layers.MaxPooling2D { name = "pool" } }
        end)
        local model = net()
        fails("dense_1: expected input of shape (batch, 4), got (batch, 5)", function()
            model:predict(moth.rand(2, 5))
        end)
        fails("dense_1: expected input of shape (batch, 4), got (2, 5)", function() model(moth.rand(2, 5)) end)
    end)
end)

describe("a functional model", function()
    local function two_ended()
        local a, b = moth.Input { 4, name = "a" }, moth.Input { 3, name = "b" }
        local shared = layers.Dense { 5, activation = "tanh", name = "shared" }
        local left = shared(a)
        local right = shared(layers.Dense { 4, name = "widen" }(b))
        return moth.Model {
            inputs = { a, b },
            outputs = {
                size = layers.Dense { 1, name = "size" }(left),
                digit = layers.Dense { 3, activation = "softmax", name = "digit" }(right),
            },
        }, shared
    end

    local function example()
        return { moth.rand(10, 4), moth.rand(10, 3) },
            { size = moth.rand(10, 1), digit = moth.one_hot(moth.randint(0, 2, { 10 }), 3) }
    end

    it("computes what its layers compute, shared layers with the same weights", function()
        moth.seed(3)
        local model, shared = two_ended()
        local x = example()
        local got = model:predict(x)
        local w = {}
        for _, name in ipairs { "shared", "widen", "size", "digit" } do
            w[name] = model:get_layer(name):get_weights()
        end
        local function dense(name, input)
            return input:matmul(w[name][1]) + w[name][2]
        end
        local size = dense("size", dense("shared", x[1]):tanh())
        local digit = dense("digit", dense("shared", dense("widen", x[2])):tanh()):softmax(-1)
        assert.same({ "digit", "size" }, model.output_names)
        assert(largest_difference(size, got.size) < 1e-5)
        assert(largest_difference(digit, got.digit) < 1e-5)
        assert(largest_difference(shared(x[1]), dense("shared", x[1]):tanh()) < 1e-5)
        assert.equal(8, #model:get_weights())
    end)

    it("is called on tensors at once, outputs in the order of their names", function()
        local model = two_ended()
        local x = example()
        local digit, size = model(x)
        local got = model:predict(x)
        assert(largest_difference(digit, got.digit) < 1e-6)
        assert(largest_difference(size, got.size) < 1e-6)
        fails("the model has 2 inputs, got 1", function() model(x[1]) end)
        fails("the model has 2 inputs, got 1", function() model:predict(x[1]) end)
    end)

    it("takes losses, weights and metrics by the name of an output", function()
        moth.seed(4)
        local model = two_ended()
        local x, y = example()
        model:compile {
            optimizer = "adam", loss = { digit = "categorical_crossentropy", size = "mse" },
            loss_weights = { digit = 0.25, size = 2 }, metrics = { digit = { "acc" }, size = { "mae", "mse" } },
        }
        local score = model:evaluate(x, y)
        local p = model:predict(x)
        local mse = (p.size - y.size):square():mean():item()
        local crossentropy = -(y.digit * p.digit:log()):sum(-1):mean():item()
        assert.near(mse, score.size_loss, 1e-5)
        assert.near(mse, score.size_mse, 1e-5)
        assert.near((p.size - y.size):abs():mean():item(), score.size_mae, 1e-5)
        assert.near(crossentropy, score.digit_loss, 1e-4)
        assert.near(0.25 * crossentropy + 2 * mse, score.loss, 1e-4)
        local right = p.digit:argmax(-1):eq(y.digit:argmax(-1)):to("float32"):mean():item()
        assert.near(right, score.digit_accuracy, 1e-6)
        local history = model:fit(x, y, { epochs = 2, verbose = 0, validation_split = 0.3 }).history
        for _, name in ipairs { "loss", "digit_loss", "size_loss", "digit_accuracy", "size_mae", "size_mse" } do
            assert.equal(2, #history[name], name)
            assert.equal(2, #history["val_" .. name], name)
        end
    end)

    it("takes losses, weights and targets as lists in the order of the outputs", function()
        local by_name, by_list = two_ended(), two_ended()
        by_list:set_weights(by_name:get_weights())
        local x, y = example()
        by_name:compile { loss = { size = "mse", digit = "mae" }, loss_weights = { digit = 0.5 } }
        by_list:compile { loss = { "mae", "mse" }, loss_weights = { 0.5, 1 } }
        assert.same(by_name:evaluate(x, y), by_list:evaluate(x, { y.digit, y.size }))
    end)

    it("names the output that is unknown, missing or has no loss", function()
        local model = two_ended()
        local x, y = example()
        fails("a loss is missing for output 'size'", function() model:compile { loss = { digit = "mse" } } end)
        fails("no output 'digits'", function() model:compile { loss = { digits = "mse", size = "mse" } } end)
        fails("loss: 3 given for 2 outputs", function() model:compile { loss = { "mse", "mse", "mse" } } end)
        model:compile { loss = "mse" }
        fails('did you mean "digit"?', function() model:evaluate(x, { digits = y.digit, size = y.size }) end)
        fails("one tensor for each output is needed: digit, size", function() model:evaluate(x, { size = y.size }) end)
        fails("2 outputs, got 1", function() model:evaluate(x, y.digit) end)
        fails("several outputs", function() model:predict_classes(x) end)
    end)

    it("must be connected and made of symbols", function()
        local a, b = moth.Input { 2 }, moth.Input { 2 }
        support.refusal(moth.Model, { inputs = a, outputs = layers.Dense { 1 }(b) })
        support.refusal(moth.Model, { inputs = moth.zeros(2, 2), outputs = layers.Dense { 1 }(a) })
        support.refusal(moth.Model, { inputs = a })
        support.refusal(moth.Model, { outputs = a })
        support.refusal(moth.Model, {})
        fails("either a list or a table of names", function()
            moth.Model { inputs = a, outputs = { layers.Dense { 1 }(a), named = layers.Dense { 1 }(a) } }
        end)
    end)
end)

describe("layers", function()
    it("compute on tensors and on symbols alike", function()
        local layer = layers.Dense { 3, activation = "sigmoid" }
        local x = moth.rand(5, 4)
        local eager = layer(x)
        local input = moth.Input { 4 }
        local symbol = layer(input)
        assert.same({ 3 }, symbol.shape)
        local model = moth.Model { inputs = input, outputs = symbol }
        assert(largest_difference(eager, model:predict(x)) < 1e-6)
        assert.equal(layer, model.layers[1])
    end)

    it("draw only when training is asked for", function()
        local drop, x = layers.Dropout(0.5), moth.ones(100)
        assert(largest_difference(drop(x), x) == 0)
        local kept = drop(x, { training = true })
        assert(largest_difference(kept * (kept - 2), kept * 0) < 1e-6, "kept values are doubled, others 0")
        assert(kept:sum():item() ~= 100)
        fails("unknown option", function() drop(x, { trainig = true }) end)
        fails("training", function() drop(x, { training = 1 }) end)
    end)

    it("have gradients through a custom loop", function()
        moth.seed(5)
        local model = net()
        local x, y = moth.rand(12, 4), moth.one_hot(moth.randint(0, 2, { 12 }), 3)
        local loss_of, adam = moth.losses.categorical_crossentropy {}, moth.optimizers.Adam { lr = 0.05 }
        local first, last
        for _ = 1, 60 do
            local loss = loss_of(y, model(x, { training = true }))
            first, last = first or loss:item(), loss:item()
            loss:backward()
            adam:step(model:parameters())
            adam:zero_grad(model:parameters())
        end
        assert(last < 0.8 * first, ("loss %g after %g"):format(last, first))
    end)

    it("are found by name and place", function()
        local model = net()
        assert.equal(model.layers[2], model:get_layer "dense_2")
        assert.equal(model.layers[1], model:get_layer(1))
        fails('did you mean "dense_1"?', function() model:get_layer "dense_9" end)
        fails("no layer 3", function() model:get_layer(3) end)
    end)

    it("are left alone by training when they are frozen, as compile reads it", function()
        moth.seed(6)
        local model = net()
        local x, y = moth.rand(8, 4), moth.one_hot(moth.randint(0, 2, { 8 }), 3)
        model:get_layer(1).trainable = false
        model:compile { optimizer = moth.optimizers.SGD { lr = 0.5 }, loss = "categorical_crossentropy" }
        model:get_layer(1).trainable = true -- too late: compile has read it
        local before = model:get_weights()
        model:fit(x, y, { verbose = 0 })
        local after = model:get_weights()
        assert.equal(0, largest_difference(before[1], after[1]))
        assert.equal(0, largest_difference(before[2], after[2]))
        assert(largest_difference(before[3], after[3]) > 0)
        assert.equal(2, #model:parameters())
        model:compile { optimizer = moth.optimizers.SGD { lr = 0.5 }, loss = "categorical_crossentropy" }
        model:fit(x, y, { verbose = 0 })
        assert(largest_difference(after[1], model:get_weights()[1]) > 0)
    end)
end)

describe("weights", function()
    it("are copies that can be put back", function()
        local model, x = net(), moth.rand(3, 4)
        local kept, before = model:get_weights(), model:predict(x)
        kept[1]:fill_(0)
        assert.equal(0, largest_difference(before, model:predict(x)))
        local weights = model:get_weights()
        model:set_weights { weights[1] * 2, { 1, 2, 3, 4, 5 }, weights[3], weights[4] }
        assert.same({ 1, 2, 3, 4, 5 }, model:get_weights()[2]:totable())
        model:set_weights(weights)
        assert.equal(0, largest_difference(before, model:predict(x)))
    end)

    it("stay as they are when a list does not fit", function()
        local model = net()
        local before = model:get_weights()
        local function same()
            for i, w in ipairs(model:get_weights()) do
                assert.equal(0, largest_difference(before[i], w))
            end
        end
        local zeros = { moth.zeros(4, 5), moth.zeros(5), moth.zeros(5, 3), moth.zeros(3) }
        for i, wrong in ipairs { moth.zeros(5, 4), moth.zeros(4), moth.zeros(15), moth.zeros(3, 1) } do
            local list = { table.unpack(zeros) }
            list[i] = wrong
            fails("has shape", function() model:set_weights(list) end)
            same()
        end
        fails("entry 4 must be a tensor; got \"no\"", function()
            model:set_weights { zeros[1], zeros[2], zeros[3], "no" }
        end)
        fails("expected a list of 4 tensors; got 3", function()
            model:set_weights { zeros[1], zeros[2], zeros[3] }
        end)
        fails("expected a list of 4 tensors; got nil", function() model:set_weights() end)
        support.refusal(model.set_weights, model, { zeros[1], zeros[2], zeros[3], { 1, 2, "x" } })
        same()
        fails("has shape", function() model:get_layer(1):set_weights { zeros[2], zeros[1] } end)
        same()
    end)

    it("can be set for one layer", function()
        local layer = net():get_layer(2)
        layer:set_weights { moth.ones(5, 3), moth.full({ 3 }, 2) }
        assert.same({ 2, 2, 2 }, layer:get_weights()[2]:totable())
    end)
end)

describe("reset and clone", function()
    it("reset gives weights that follow from the seed, and starts the optimizer anew", function()
        local model = net()
        model:reset(7)
        model:compile { optimizer = moth.optimizers.Adam { lr = 0.1 }, loss = "mse" }
        local x, y = moth.rand(8, 4), moth.rand(8, 3)
        local first = model:fit(x, y, { epochs = 3, verbose = 0 }).history.loss
        model:reset(7)
        assert.same(first, model:fit(x, y, { epochs = 3, verbose = 0 }).history.loss)
        model:reset(8)
        assert.not_same(first, model:fit(x, y, { epochs = 3, verbose = 0 }).history.loss)
        for _, wrong in ipairs { -1, 1.5, "x" } do
            support.refusal(model.reset, model, wrong)
        end
    end)

    it("clone has the same layers with weights of its own", function()
        local model = net()
        local copy = model:clone()
        assert.equal(printed(function() model:summary() end), printed(function() copy:summary() end))
        copy:set_weights(model:get_weights())
        local x = moth.rand(3, 4)
        local before = model:predict(x)
        assert.equal(0, largest_difference(before, copy:predict(x)))
        copy:get_layer(1):set_weights { moth.zeros(4, 5), moth.zeros(5) }
        assert.equal(0, largest_difference(before, model:predict(x)))
    end)
end)

describe("predictions", function()
    it("come as classes from 0, or as whether one output is above a half", function()
        local model, x = net(), moth.rand(9, 4)
        local classes, p = model:predict_classes(x), model:predict_proba(x)
        assert.equal("int32", classes.dtype)
        assert.same((p:argmax(-1) - 1):totable(), classes:totable())
        assert.equal(0, largest_difference(p, model:predict_probs(x)))
        local one = moth.Sequential { layers.Dense { 1, input_shape = { 1 } } }
        one:set_weights { { { 1 } }, { 0 } }
        assert.same({ 0, 0, 1 }, one:predict_classes(moth.tensor { { 0.2 }, { 0.5 }, { 0.7 } }):totable())
    end)

    it("do not depend on the batch size", function()
        local model, x = net(), moth.rand(10, 4)
        local whole = model:predict(x)
        for _, size in ipairs { 1, 3, 10, 50 } do
            assert(largest_difference(whole, model:predict(x, { batch_size = size })) < 1e-6)
        end
        assert.same({ 0, 3 }, model:predict(moth.zeros(0, 4)).shape)
    end)
end)

describe("mistakes are told in one line with the nearest name", function()
    local cases = {
        { "did you mean 'activation'?", function() layers.Dense { 3, activaton = "relu" } end },
        { 'moth.layers has no "Danse"; did you mean "Dense"?', function() return layers.Danse end },
        { "did you mean 'relu'?", function() layers.Dense { 3, activation = "rellu" } end },
        { "did you mean 'glorot_uniform'?", function()
            layers.Dense { 3, kernel_initializer = "glorot_unifrm" }
        end },
        { "did you mean 'categorical_crossentropy'?", function()
            net():compile { loss = "categorical_crosentropy" }
        end },
        { "did you mean 'accuracy'?", function() net():compile { loss = "mse", metrics = { "acuracy" } } end },
        { "did you mean 'Adam'?", function() net():compile { loss = "mse", optimizer = "adm" } end },
        { 'did you mean "metrics"?', function() net():compile { loss = "mse", metric = { "mae" } } end },
        { 'moth.losses has no "huberr"; did you mean "huber"?', function() return moth.losses.huberr end },
        { 'moth.optimizers has no "Adma"; did you mean "Adam"?', function() return moth.optimizers.Adma end },
        { "did you mean 'momentum'?", function() moth.optimizers.SGD { momentun = 0.9 } end },
        { "loss is missing", function() net():compile { optimizer = "sgd" } end },
        { "outputs must be what moth.Input or a layer called on one gives; got a moth.layer", function()
            moth.Model { inputs = moth.Input { 3 }, outputs = layers.Dense { 3 } }
        end },
        { 'outputs["x"] must be what', function() moth.Model { inputs = moth.Input { 3 }, outputs = { x = 3 } } end },
        { "loss_weights: the weight of output", function() net():compile { loss = "mse", loss_weights = "x" } end },
        { "must be a finite number", function() net():compile { loss = "mse", loss_weights = { 0 / 0 } } end },
        { "option 'units' is missing", function() layers.Dense {} end },
        { "option 'units' must be at least 1, got -1", function() layers.Dense { -1 } end },
        { "option 'units' must be an integer", function() layers.Dense { 2.5 } end },
        { "option 'units' must be an integer", function() layers.Dense { 0 / 0 } end },
        { "option 'units' must be an integer", function() layers.Dense { "3" } end },
        { "given twice", function() layers.Dense { 3, units = 3 } end },
        { "given twice", function() moth.optimizers.SGD { lr = 0.1, learning_rate = 0.1 } end },
        { "given twice", function() layers.Dense { 3, input_dim = 4, input_shape = { 4 } } end },
        { "option 'learning_rate' must be at most", function() moth.optimizers.SGD { lr = 1e30 } end },
        { "not compiled", function() net():fit(moth.rand(2, 4), moth.rand(2, 3), { verbose = 0 }) end },
        { "not compiled", function() net():evaluate(moth.rand(2, 4), moth.rand(2, 3)) end },
        { "input_scale", function() net():compile { loss = "mse", input_scale = 0 } end },
        { "input_scale", function() net():compile { loss = "mse", input_scale = -1 } end },
    }
    for i, case in ipairs(cases) do
        it(("%d %s"):format(i, case[1]), function()
            fails(case[1], case[2])
        end)
    end

    it("and a refused compile leaves the earlier one in force", function()
        local model = net()
        model:compile { loss = "mse", metrics = { "mae" } }
        local x, y = moth.rand(4, 4), moth.rand(4, 3)
        local before = model:evaluate(x, y)
        support.refusal(model.compile, model, { loss = "mae", metrics = { "nothing" } })
        support.refusal(model.compile, model, { loss = "nothing" })
        support.refusal(model.compile, model, { loss = "mae", optimizer = "nothing" })
        assert.same(before, model:evaluate(x, y))
    end)
end)
