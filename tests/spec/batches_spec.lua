-- What models take as data: by name, by output, from generators; and objects that constructors stand for. Values follow
-- from the definition, computed by hand, but for those that Keras gave (said where).
local moth = require "moth"
local support = require "tests.spec.support"
local has, line, column = support.has, support.line, support.column
local layers, losses, metrics = moth.layers, moth.losses, moth.metrics

-- Batches of two numbers each, targets 0.
local function pairs_of(...)
    local given, n = { ... }, 0
    return function()
        n = n + 1
        if not given[n] then
            n = 0
            return nil
        end
        return column(given[n]), moth.zeros(#given[n], 1)
    end
end

describe("a generator", function()
    it("is evaluated over all that it gives: counts add up, they are no mean of batches", function()
        -- Predictions are x: batch 1 has 1 right of 1 said, batch 2 has 1 right of 3 said; 2 / 4 in all.
        local model = line(1, { metrics = { "precision", "mse" } })
        local x = { { 1, 0 }, { 1, 1, 1 } }
        local y = { { 1, 0 }, { 1, 0, 0 } }
        local n = 0
        local function give()
            n = n + 1
            if x[n] then
                return column(x[n]), column(y[n])
            end
            n = 0
        end
        local values = model:evaluate(give)
        assert.equal(0.5, values.precision)
        support.close(2 / 5, values.mse, 1e-7, "mse of five samples")
        assert.equal(0.5, model:fit(give, { verbose = 0 }).history.precision[1])
        support.close(0, model:evaluate(give, { steps = 1 }).loss, 1e-7, "one step")
    end)

    it("may validate, in as many batches as validation_steps says", function()
        local model = line(1)
        local validation = pairs_of({ 1, 1 }, { 3, 3 })
        local logs = model:fit(column { 2, 2 }, column { 0, 0 }, { verbose = 0, validation_data = validation }).history
        assert.same({ 5 }, logs.val_loss)
        local settings = { verbose = 0, validation_data = validation, validation_steps = 1 }
        logs = model:fit(pairs_of { 1, 1 }, settings).history
        assert.same({ 1 }, logs.val_loss)
        assert.same({ 1 }, logs.loss)
    end)

    it("is predicted batch by batch, and takes weights as a list", function()
        local model = line(2)
        assert.same({ { 2 }, { 4 }, { 6 } }, model:predict(pairs_of({ 1, 2 }, { 3 })):totable())
        assert.same({ { 2 }, { 4 } }, model:predict(pairs_of({ 1, 2 }, { 3 }), { steps = 1 }):totable())
        local logs = line(1):fit(function()
            return column { 1, 2 }, column { 0, 0 }, { 0, 3 }
        end, { steps_per_epoch = 2, verbose = 0 }).history
        assert.same({ 6 }, logs.loss)
    end)

    it("is told what does not go with it", function()
        local model, give = line(1), pairs_of { 1 }
        has(support.fails(function() model:fit(give, { validation_split = 0.5 }) end), "validation_split needs tensors")
        has(support.fails(function() model:fit(give, { sample_weight = { 1 } }) end), "as its third value")
        has(support.fails(function() model:evaluate(give, { sample_weight = { 1 } }) end), "as its third value")
        has(support.fails(function() model:predict(function() end) end), "the generator gave no batch")
    end)
end)

describe("fit", function()
    it("goes on through the data with steps_per_epoch, and starts anew at their end", function()
        -- Keras 3.15: losses of 5 epochs of 2 steps over 5 batches, one sample of y = 1 … 10 each, prediction 0.
        local logs = line(0):fit(moth.zeros(10, 1), moth.arange(1, 10):reshape(10, 1), {
            batch_size = 2, epochs = 5, steps_per_epoch = 2, shuffle = false, verbose = 0,
        }).history
        support.close({ 7.5, 43.5, 90.5, 7.5, 43.5 }, logs.loss, 1e-6, "losses")
    end)

    it("sees every sample once in as many epochs as the steps of one make", function()
        local seen = {}
        local model = line(0)
        model:fit(moth.zeros(8, 1), moth.arange(1, 8):reshape(8, 1), {
            batch_size = 1, epochs = 4, steps_per_epoch = 2, verbose = 0,
            callbacks = { { on_batch_end = function(_, batch, logs) seen[#seen + 1] = { batch, logs.loss } end } },
        })
        local sum = 0
        for _, entry in ipairs(seen) do
            -- the mean of the epoch so far, of one and of two squares
            sum = sum + (entry[1] == 2 and 2 * entry[2] or 0)
        end
        support.close(1 + 4 + 9 + 16 + 25 + 36 + 49 + 64, sum, 1e-6, "squares of 1 to 8")
    end)

    it("validates after the epochs that a list names", function()
        local logs = line(1):fit(column { 1 }, column { 0 }, {
            epochs = 4, validation_data = { column { 1 }, column { 0 } }, validation_freq = { 1, 3, 4 }, verbose = 0,
        }).history
        assert.equal(3, #logs.val_loss)
    end)

    it("tells callbacks nothing of steps that nobody knows", function()
        local params
        line(1):fit(pairs_of { 1 }, { verbose = 0, callbacks = { { on_train_begin = function(self)
            params = self.params
        end } } })
        assert.is_nil(params.samples)
        assert.is_nil(params.steps)
        assert.is_nil(params.validation_steps)
    end)

    it("augments the first input and leaves the others, and says what augment must return", function()
        local a, b = moth.Input { 1, name = "a" }, moth.Input { 1, name = "b" }
        local both = moth.Model { { a, b }, layers.Lambda(function(x, y) return x + y end) { a, b } }
        both:compile { optimizer = moth.optimizers.SGD { lr = 0 }, loss = "mse" }
        local logs = both:fit({ b = column { 10 }, a = column { 1 } }, column { 0 }, {
            verbose = 0, augment = function(x) return x * 3 end,
        }).history
        assert.same({ 169 }, logs.loss)
        local function none() return 3 end
        has(support.fails(function() line(1):fit(column { 1 }, column { 1 }, { augment = none, verbose = 0 }) end),
            "augment must return a tensor of as many samples as it gets; got 3")
    end)
end)

describe("data by name", function()
    local function two()
        local a, b = moth.Input { 1, name = "a" }, moth.Input { 1, name = "b" }
        local model = moth.Model {
            inputs = { a, b },
            outputs = {
                sum = layers.Lambda(function(x, y) return x + y end) { a, b },
                gap = layers.Lambda(function(x, y) return x - y end)(a, b),
            },
        }
        return model:compile { optimizer = moth.optimizers.SGD { lr = 0 }, loss = "mse" }
    end

    it("goes to the inputs of these names", function()
        local model = two()
        local out = model:predict { b = column { 5 }, a = column { 7 } }
        assert.equal(12, out.sum[1][1])
        assert.equal(2, out.gap[1][1])
        assert.same({ "a", "b" }, model.input_names)
        local x = moth.Input { 1 }
        local named = moth.Model { inputs = { only = x }, outputs = layers.Activation "relu" (x) }
        assert.equal(3, named:predict { only = column { 3 } }[1][1])
        has(support.fails(function() model:predict { a = column { 1 }, c = column { 1 } } end), 'no input "c"')
        has(support.fails(function() model:predict { a = column { 1 } } end), 'there is none for "b"')
    end)

    it("weighs each output's samples by its own weights", function()
        -- sums 3, 7 and gaps 1, 1: squares 9, 49 and 1, 1
        local model = two()
        local x, y = { column { 2, 4 }, column { 1, 3 } }, { sum = moth.zeros(2, 1), gap = moth.zeros(2, 1) }
        local function loss(weights)
            local values = model:evaluate(x, y, { sample_weight = weights })
            return { values.sum_loss, values.gap_loss, values.loss }
        end
        support.close({ 29, 1, 30 }, loss(nil), 1e-6, "none")
        support.close({ 58, 2, 60 }, loss { 2, 2 }, 1e-6, "one list for all")
        support.close({ 9, 1, 10 }, loss { sum = { 2, 0 } }, 1e-6, "by name")
        support.close({ 9, 2, 11 }, loss { sum = moth.tensor { 2, 0 }, gap = { 4, 0 } }, 1e-6, "both")
        support.close({ 9, 2, 11 }, loss { { 4, 0 }, { 2, 0 } }, 1e-6, "as a list, in the order of output_names")
        support.close({ 9, 1, 10 }, loss { sum = { { 2 }, { 0 } } }, 1e-6, "as a column")
        local wide = { sample_weight = { sum = moth.ones(2, 3) } }
        has(support.fails(function() model:evaluate(x, y, wide) end),
            "expected one number for each sample, (samples); got a tensor of shape (2, 3)")
        local typo = { sample_weight = { som = { 1, 1 } } }
        has(support.fails(function() model:evaluate(x, y, typo) end), 'no output "som"')
        has(support.fails(function() model:evaluate(x, y, { sample_weight = { sum = { 1 } } }) end), "has 1 samples")
    end)

    it("trains each output by its own weights", function()
        local x = moth.Input { 1 }
        local function head(name) return layers.Dense { 1, use_bias = false, name = name } (x) end
        local model = moth.Model { inputs = x, outputs = { p = head "p", q = head "q" } }
        model:set_weights { { { 1 } }, { { 1 } } }
        model:compile { optimizer = moth.optimizers.SGD { lr = 0.5 }, loss = "mse" }
        -- the gradient of w^2 is 2 w: w -= 0.5 * 2 * weight
        local zeros = { column { 0 }, column { 0 } }
        model:train_on_batch(column { 1 }, zeros, { sample_weight = { p = { 0 }, q = { 0.5 } } })
        local w = model:get_weights()
        assert.equal(1, w[1][1][1])
        assert.equal(0.5, w[2][1][1])
    end)
end)

describe("a constructor", function()
    it("stands for what it makes, wherever an option takes that", function()
        local model = moth.Sequential {
            layers.Dense {
                1, input_shape = { 1 }, use_bias = false, kernel_initializer = moth.initializers.ones,
                activation = moth.activations.relu, kernel_regularizer = moth.regularizers.l2,
            },
        }
        model:compile { optimizer = moth.optimizers.Adam, loss = losses.mae, metrics = { metrics.mse, losses.mae } }
        local values = model:evaluate(column { 3 }, column { 1 })
        support.close({ 2 + 0.01, 4, 2 }, { values.loss, values.mse, values.mae }, 1e-6, "loss, mse and mae")
        assert.equal(0.001, model.optimizer.learning_rate)
    end)

    it("of a loss or activation computes on tensors", function()
        assert.same({ 0, 2 }, moth.activations.relu(moth.tensor { -1, 2 }):totable())
        assert.equal(2.5, losses.mse(moth.tensor { { 0, 0 } }, moth.tensor { { 1, 2 } }):item())
        local own = line(1, { loss = function(y_true, y_pred) return losses.mse(y_true, y_pred) * 2 end })
        assert.equal(8, own:evaluate(column { 2 }, column { 0 }).loss)
    end)

    it("of every loss stands among the metrics", function()
        for _, entry in ipairs(require("moth.core").entries "losses") do
            if entry.name ~= "cosine_similarity" then -- the metric is minus the loss
                assert.equal(losses[entry.name], metrics[entry.name])
            end
        end
        has(support.fails(function() return metrics.nse end), 'did you mean "mse"')
    end)

    it("is needed where a function of the user's cannot do", function()
        local function f() end
        has(support.fails(function() layers.Dense { 1, kernel_initializer = f } end), "got a function")
        has(support.fails(function() moth.optimizers.SGD { lr = f } end), "got a function")
    end)
end)

describe("an optimizer", function()
    local function step(model)
        model:train_on_batch(column { 1 }, column { 0 })
        return model:get_weights()[1][1][1]
    end

    it("counts the steps of one model, also when several are given the same", function()
        local shared, model_with = moth.optimizers.Adam { 0.5, 0.5 }, function(o) return line(1, { optimizer = o }) end
        local a, b, alone = model_with(shared), model_with(shared), model_with(moth.optimizers.Adam { 0.5, 0.5 })
        for _ = 1, 3 do
            local expected = step(alone)
            assert.equal(expected, step(a))
            assert.equal(expected, step(b))
        end
        assert.same({ 3, 3 }, { shared.iterations, b.optimizer.iterations })
        assert.equal(shared, a.optimizer)
        assert.equal(0.5, b.optimizer.config.beta_1)
        shared.learning_rate = 0.125
        assert.equal(0.125, model_with(shared).optimizer.learning_rate)
        a:compile { optimizer = shared, loss = "mse" }
        assert.equal(shared, a.optimizer)
        assert.equal(0, shared.iterations)
    end)
end)

describe("a metric", function()
    it("may have a name of its own", function()
        local function far(t, p) return (t - p):abs():mean(2) end
        local model = line(1, { metrics = { "mae", far = far, most = "mse" } })
        local values = model:evaluate(column { 1, 3 }, column { 0, 0 })
        assert.same({ loss = 5, mae = 2, far = 2, most = 5 }, values)
    end)

    it("may be given its name by its constructor, as in Keras", function()
        local above, apart = metrics.precision { 0.3, name = "above" }, metrics.mse { name = "apart" }
        assert.equal('metrics.precision { name = "above", thresholds = 0.3 }', tostring(above))
        support.close(4, apart(column { 2 }, column { 0 }):item(), 1e-6, "it computes all the same")
        local model = line(1, { metrics = { above, apart, key = metrics.mae { name = "not this" } } })
        local values = model:evaluate(column { 1, 3 }, column { 0, 1 })
        assert.same({ loss = 2.5, above = 0.5, apart = 2.5, key = 1.5 }, values)
        local named = line(1, { loss = losses.mae { name = "what" } })
        assert.same({ loss = 2 }, named:evaluate(column { 2 }, column { 0 }))
        has(support.fails(function() metrics.mse { name = 3 } end), "mse: option 'name' must be a name for logs; got 3")
    end)

    it("that is one number for a batch counts as often as the batch has samples", function()
        local model = line(1, { metrics = { top = function(_, p) return p:max() end } })
        local values = model:evaluate(column { 1, 4, 7 }, column { 0, 0, 0 }, { batch_size = 2 })
        support.close((4 + 4 + 7) / 3, values.top, 1e-6, "largest of batches")
    end)
end)

describe("a Sequential", function()
    it("begins with an Input where that says the shape", function()
        local model = moth.Sequential { moth.Input { 4, name = "in" }, layers.Dense { 3 }, layers.Dense { 2 } }
        assert.is_true(model.built)
        assert.same({ { 4 } }, model.input_shapes)
        assert.equal(4 * 3 + 3 + 3 * 2 + 2, model:count_params())
        local again = moth.model_from_json(model:to_json())
        assert.same({ { 4 } }, again.input_shapes)
        assert.same({ "in" }, again.input_names)
        local late = moth.Sequential {}
        late:add(moth.Input { 2 })
        late:add(layers.Dense { 1 })
        assert.is_true(late.built)
        has(support.fails(function() late:add(moth.Input { 2 }) end), "an Input stands first")
        has(support.fails(function() moth.Sequential { layers.Dense { 1 }, moth.Input { 2 } } end), "stands first")
        local x = layers.Dense { 2 } (moth.Input { 2 })
        has(support.fails(function() moth.Sequential { x } end), "expected a layer or an Input")
    end)
end)

describe("an Input", function()
    it("names what is wrong with a shape", function()
        has(support.fails(function() moth.Input { "a" } end), "Input: shape must be a list of whole numbers above 0")
        has(support.fails(function() moth.Input { 3, -1 } end), "entry 2 is -1")
        has(support.fails(function() moth.Input { 2 ^ 53 } end), "Input: shape must be")
        assert.same({ 3, 2 }, moth.Input { { 3, 2 } }.shape)
    end)
end)
