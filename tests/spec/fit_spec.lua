-- fit: which samples train and validate, what is counted, weighted and reported, who is asked, what stops it. Values
-- against Keras are in training_spec.lua; here they follow from the definition, computed by hand or with tensors.
local moth = require "moth"
local support = require "tests.spec.support"
local layers, callbacks = moth.layers, moth.callbacks
local fails, line, column, net = support.refuses, support.line, support.column, support.classifier
local sample, same_weights, quiet = support.samples, support.same_weights, support.quiet

local directory = support.directory()
teardown(function() support.remove(directory) end)

local function weight(model)
    return model:get_weights()[1][1][1]
end

describe("the samples of fit", function()
    it("validate with the last part as it lies, whatever is shuffled", function()
        -- Targets are the positions: with w = 0 the loss of a part is the mean of their squares.
        local x, y = moth.ones(10, 1), column { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
        local history = line(0):fit(x, y, quiet { validation_split = 0.25, epochs = 3, batch_size = 4 }).history
        -- floor(10 * 0.75) = 7 samples train
        for epoch = 1, 3 do
            assert.near(20, history.loss[epoch], 1e-5) -- (1 + 4 + … + 49) / 7
            assert.near((64 + 81 + 100) / 3, history.val_loss[epoch], 1e-4)
        end
    end)

    it("count one by one, though the last batch is smaller", function()
        local x, y = moth.ones(7, 1), column { 1, 2, 3, 4, 5, 6, 7 }
        for _, size in ipairs { 1, 2, 3, 5, 7, 100 } do
            local model = line(0, { metrics = { "mae" } })
            local history = model:fit(x, y, quiet { batch_size = size }).history
            assert.near(20, history.loss[1], 1e-5)
            assert.near(4, history.mae[1], 1e-6)
            assert.near(20, model:evaluate(x, y, { batch_size = size }).loss, 1e-5)
        end
    end)

    it("all come once in a shuffled epoch, in another order each time", function()
        moth.seed(1)
        local orders = {}
        local x = moth.arange(1, 9):to("float32"):reshape(9, 1)
        local model = line(0)
        for epoch = 1, 2 do
            local seen = {}
            model:fit(x, x, quiet { batch_size = 1, callbacks = { { on_batch_end = function(_, _, logs)
                seen[#seen + 1] = logs.loss -- mean of squares so far
            end } } })
            local order, sum = {}, 0
            for i, mean in ipairs(seen) do
                order[i] = math.floor(math.sqrt(mean * i - sum) + 0.5)
                sum = sum + order[i] ^ 2
            end
            orders[epoch] = table.concat(order, " ")
            table.sort(order)
            assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9 }, order)
        end
        assert.not_equal("1 2 3 4 5 6 7 8 9", orders[1])
        assert.not_equal(orders[1], orders[2])
    end)

    it("lie in order with shuffle = false", function()
        local first = {}
        local x = moth.arange(1, 6):to("float32"):reshape(6, 1)
        line(0):fit(x, x, quiet { batch_size = 2, shuffle = false, callbacks = { { on_batch_end = function(_, _, logs)
            first[#first + 1] = logs.loss
        end } } })
        assert.near(2.5, first[1], 1e-6)
        assert.near(7.5, first[2], 1e-6)
        assert.near(91 / 6, first[3], 1e-5)
    end)

    it("can be fewer: steps_per_epoch and validation_steps", function()
        local x, y = moth.ones(8, 1), column { 1, 2, 3, 4, 5, 6, 7, 8 }
        local batches = 0
        local history = line(0):fit(x, y, quiet { batch_size = 2, shuffle = false, steps_per_epoch = 2,
            validation_data = { x, y }, validation_steps = 3, callbacks = { { on_batch_end = function()
                batches = batches + 1
            end } } }).history
        assert.equal(2, batches)
        assert.near(30 / 4, history.loss[1], 1e-5)
        assert.near(91 / 6, history.val_loss[1], 1e-4)
        assert.near(30 / 4, line(0):evaluate(x, y, { batch_size = 2, steps = 2 }).loss, 1e-5)
    end)

    it("validate in a batch size of their own, with weights, every so many epochs", function()
        local x, y = moth.ones(4, 1), column { 1, 2, 3, 4 }
        local tested, history = 0
        history = line(0):fit(x, y, quiet { epochs = 4, validation_freq = 2, validation_batch_size = 1,
            validation_data = { x, y, { 0, 0, 0, 2 } }, callbacks = { { on_test_batch_end = function()
                tested = tested + 1
            end } } }).history
        assert.equal(4, #history.loss)
        assert.same({ 8, 8 }, history.val_loss) -- 2 * 16 / 4
        assert.equal(8, tested)
    end)

    it("validate every so many of all epochs, also of those done before", function()
        local x, y, at = moth.ones(4, 1), column { 1, 2, 3, 4 }, {}
        line(0):fit(x, y, quiet { epochs = 7, initial_epoch = 3, validation_freq = 2, validation_split = 0.5,
            callbacks = { { on_epoch_end = function(_, epoch, logs) at[#at + 1] = logs.val_loss and epoch end } } })
        assert.same({ 4, 6 }, at)
    end)

    it("come in epochs, of which some may be done already", function()
        local seen = {}
        local note = callbacks.LambdaCallback { on_epoch_begin = function(epoch) seen[#seen + 1] = epoch end }
        local history = line(0):fit(moth.ones(2, 1), moth.ones(2, 1), quiet { epochs = 5, initial_epoch = 3,
            callbacks = { note } })
        assert.same({ 4, 5 }, seen)
        assert.same({ 4, 5 }, history.epoch)
        assert.equal(2, #history.history.loss)
        local none = line(0):fit(moth.ones(2, 1), moth.ones(2, 1), quiet { epochs = 0 })
        assert.same({}, none.history)
    end)
end)

describe("weights of samples", function()
    local x, y = moth.ones(4, 1), column { 1, 2, 3, 4 }

    it("scale losses, whose sum is still divided by the number of samples", function()
        local weights = { 1, 0, 2, 0.5 }
        local want = (1 * 1 + 2 * 9 + 0.5 * 16) / 4
        local history = line(0):fit(x, y, quiet { sample_weight = weights }).history
        assert.near(want, history.loss[1], 1e-5)
        assert.near(want, line(0):evaluate(x, y, { sample_weight = moth.tensor(weights) }).loss, 1e-5)
        assert.near(want, line(0):train_on_batch(x, y, { sample_weight = weights }).loss, 1e-5)
        assert.near(want, line(0):test_on_batch(x, y, { sample_weight = weights }).loss, 1e-5)
        -- The gradient is weighted as the loss is: -2 * (1 * 1 + 2 * 3 + 0.5 * 4) / 4
        local model = line(0, { optimizer = moth.optimizers.SGD { lr = 1 } })
        model:train_on_batch(x, y, { sample_weight = weights })
        assert.near(2 * 9 / 4, weight(model), 1e-5)
        assert.near(line(0):evaluate(x, y, { sample_weight = moth.ones(4, { dtype = "int32" }) }).loss, 7.5, 1e-5)
    end)

    it("are refused when they do not fit", function()
        fails("sample_weight 1 has 2 samples, x has 4", function()
            line(0):fit(x, y, quiet { sample_weight = { 1, 2 } })
        end)
        fails("sample_weight must be a tensor or a list", function()
            line(0):fit(x, y, quiet { sample_weight = "heavy" })
        end)
        fails("exclude each other", function()
            line(0):fit(x, y, quiet { sample_weight = { 1, 1, 1, 1 }, class_weight = { [0] = 1 } })
        end)
        fails("class_weight must be", function() line(0):fit(x, y, quiet { class_weight = { one = 1 } }) end)
        fails("class_weight must be", function() line(0):fit(x, y, quiet { class_weight = { [0] = "1" } }) end)
    end)
end)

describe("a generator", function()
    local function batches(list)
        local i = 0
        return function()
            i = i + 1
            local batch = list[i]
            if not batch then
                i = 0
                return nil
            end
            return table.unpack(batch)
        end
    end

    it("gives an epoch of batches, whose means count samples", function()
        local one = { moth.ones(1, 1), column { 6 } }
        local three = { moth.ones(3, 1), column { 1, 2, 3 } }
        local history = line(0):fit(batches { one, three }, quiet { epochs = 2 }).history
        assert.near(12.5, history.loss[1], 1e-5) -- (36 + 1 + 4 + 9) / 4
        assert.near(12.5, history.loss[2], 1e-5)
    end)

    it("can weigh samples and be cut by steps_per_epoch", function()
        local calls = 0
        local history = line(0):fit(function()
            calls = calls + 1
            return moth.ones(2, 1), column { 1, 2 }, moth.tensor { 0.5, 1 }
        end, quiet { steps_per_epoch = 3, epochs = 2, validation_data = { moth.ones(2, 1), column { 2, 4 } } }).history
        assert.equal(6, calls)
        assert.near((0.5 + 4) / 2, history.loss[1], 1e-6)
        assert.near(10, history.val_loss[2], 1e-5)
    end)

    it("is told what is wrong with what it gives", function()
        fails("the generator gave no batch", function() line(0):fit(function() end, quiet {}) end)
        fails("a generator gives y as its second value", function()
            line(0):fit(function() end, column { 1 }, quiet {})
        end)
        fails("a generator gives y as its second value", function()
            line(0):evaluate(function() end, column { 1 })
        end)
        fails("x must be a tensor", function() line(0):fit(function() return 1, 2 end, quiet {}) end)
        fails("y must be a tensor", function() line(0):fit(function() return moth.ones(2, 1) end, quiet {}) end)
        fails("no more data", function() line(0):fit(function() error("no more data") end, quiet {}) end)
    end)
end)

describe("callbacks in fit", function()
    it("stop it, after the batch or epoch that asks", function()
        local x, y = sample(12)
        local model, epochs = net(), 0
        model:fit(x, y, quiet { epochs = 10, callbacks = { { on_epoch_end = function(self)
            epochs = epochs + 1
            self.model.stop_training = epochs == 3
        end } } })
        assert.equal(3, epochs)
        local batches = 0
        model:fit(x, y, quiet { epochs = 10, batch_size = 2, callbacks = { { on_batch_end = function(self)
            batches = batches + 1
            self.model.stop_training = batches == 4
        end } } })
        assert.equal(4, batches)
    end)

    it("EarlyStopping puts the best weights back", function()
        moth.seed(2)
        local x, y = sample(24)
        local model = net { optimizer = moth.optimizers.SGD { lr = 1 } }
        local best, kept = math.huge, nil
        local history = model:fit(x, y, quiet { epochs = 60, validation_data = { sample(24) }, callbacks = {
            { on_epoch_end = function(self, _, logs)
                if logs.val_loss < best then
                    best, kept = logs.val_loss, self.model:get_weights()
                end
            end },
            callbacks.EarlyStopping { patience = 3, restore_best_weights = true },
        } }).history
        assert(#history.loss < 60, "it never stopped")
        assert(same_weights(kept, model:get_weights()))
    end)

    it("ModelCheckpoint leaves files that load", function()
        local x, y = sample(12)
        local model, path = net { metrics = { "acc" } }, directory .. "/at-{epoch:02d}.safetensors"
        model:fit(x, y, quiet { epochs = 2, callbacks = { callbacks.ModelCheckpoint(path) } })
        local last = moth.load_model(directory .. "/at-02.safetensors")
        assert(same_weights(model:get_weights(), last:get_weights()))
        assert.same(model:evaluate(x, y), last:evaluate(x, y))
        assert(not same_weights(model:get_weights(), moth.load_model(directory .. "/at-01.safetensors"):get_weights()))
    end)

    it("set the learning rate that the next steps use", function()
        local x, y = moth.ones(2, 1), moth.zeros(2, 1)
        local model = line(1, { optimizer = moth.optimizers.SGD { lr = 1 } })
        -- Each epoch is one step w <- w - rate * 2 w.
        local history = model:fit(x, y, quiet { epochs = 3, callbacks = {
            callbacks.LearningRateScheduler(function(epoch) return ({ 0.25, 0, 0.125 })[epoch] end) } }).history
        assert.near(0.5 * 1 * 0.75, weight(model), 1e-6)
        assert.same({ 0.25, 0, 0.125 }, history.learning_rate)
        local flat = line(1)
        flat.optimizer.learning_rate = 0.5
        local rates = flat:fit(x, y + 1, quiet { epochs = 4, callbacks = {
            callbacks.ReduceLROnPlateau { monitor = "loss", patience = 1, factor = 0.5 } } }).history.learning_rate
        assert.same({ 0.5, 0.5, 0.25, 0.125 }, rates)
    end)

    it("CSVLogger writes what the history holds", function()
        local x, y = sample(8)
        local path = directory .. "/log.csv"
        local history = net():fit(x, y, quiet { epochs = 2, validation_split = 0.25,
            callbacks = { callbacks.CSVLogger(path) } }).history
        local lines = {}
        for text in io.lines(path) do
            lines[#lines + 1] = text
        end
        assert.equal("epoch,loss,val_loss", lines[1])
        local epoch, loss, val_loss = lines[3]:match("^(%d+),([^,]+),([^,]+)$")
        assert.equal("2", epoch)
        assert.near(history.loss[2], tonumber(loss), 1e-12)
        assert.near(history.val_loss[2], tonumber(val_loss), 1e-12)
    end)

    it("BackupAndRestore goes on to the same bits after a crash", function()
        local function run(crash_after, backup)
            moth.seed(11)
            local x, y = sample(20)
            local model = moth.Sequential { layers.Dense { 8, activation = "relu", input_shape = { 4 } },
                layers.Dropout(0.3), layers.Dense { 3, activation = "softmax" } }
            model:compile { optimizer = "adam", loss = "categorical_crossentropy" }
            local list = { { on_epoch_begin = function(_, epoch)
                if epoch == crash_after then
                    error("power cut")
                end
            end } }
            table.insert(list, 1, backup)
            local good, err = pcall(model.fit, model, x, y, quiet { epochs = 6, batch_size = 6, callbacks = list })
            assert(good or err:find("power cut"), err)
            return model
        end
        local whole = run()
        run(4, callbacks.BackupAndRestore(directory .. "/backup"))
        local resumed = run(nil, callbacks.BackupAndRestore(directory .. "/backup"))
        assert(same_weights(whole:get_weights(), resumed:get_weights()))
    end)

    it("raise their errors at their own line, and what trained stays", function()
        local x, y = sample(8)
        local model, ended = net(), false
        local before = model:get_weights()
        fails("broken hook", function()
            model:fit(x, y, quiet { epochs = 2, callbacks = { {
                on_epoch_end = function() error("broken hook") end,
                on_train_end = function() ended = true end,
            } } })
        end)
        assert(ended)
        assert(not same_weights(before, model:get_weights()))
        assert.equal(1, #model:fit(x, y, quiet {}).history.loss)
        local object = { code = 7 }
        local good, err = pcall(model.fit, model, x, y, quiet { callbacks = { { on_batch_end = function()
            error(object)
        end } } })
        assert.equal(false, good)
        assert.equal(object, err)
    end)

    it("cannot change what a pass is using", function()
        local x, y = sample(8)
        local model = net()
        local function inside(f)
            return function()
                model:fit(x, y, quiet { batch_size = 4, callbacks = { { on_batch_end = f } } })
            end
        end
        fails("compile: the model is in the middle of a pass", inside(function() model:compile { loss = "mse" } end))
        fails("evaluate: the model is in the middle of a pass", inside(function() model:evaluate(x, y) end))
        fails("fit: the model is in the middle of a pass", inside(function() model:fit(x, y, quiet {}) end))
        local loss
        model:fit(x, y, quiet { batch_size = 4, callbacks = { { on_batch_end = function(_, _, logs)
            loss = logs.loss
            model:predict(x) -- is no measurement
            model:set_weights(model:get_weights())
        end } } })
        assert.equal(loss, model.history.history.loss[1])
        model:fit(x, y, quiet { callbacks = { { on_epoch_end = function() model:evaluate(x, y) end } } })
    end)
end)

describe("what is not finite", function()
    it("stops fit before the update and names the tensor", function()
        local x, y = sample(8)
        local model = net()
        local before = model:get_weights()
        local bad = x:clone()
        bad[{ 3, 2 }] = 0 / 0
        fails("dense_2' is nan at element 3", function() model:fit(bad, y, quiet { shuffle = false }) end)
        assert(same_weights(before, model:get_weights()))
        local zeros = net { loss = function(_, p) return (p - p):log():sum(-1) end }
        before = zeros:get_weights()
        support.refusal(function() zeros:fit(x, y, quiet {}) end)
        assert(same_weights(before, zeros:get_weights()))
    end)

    it("keeps the steps before the bad batch", function()
        local x, y = sample(8)
        x[{ 7, 1 }] = 0 / 0
        local first, both = net(), net()
        first:set_weights(both:get_weights())
        first:fit(x:slice(1, 1, 4), y:slice(1, 1, 4), quiet { batch_size = 4, shuffle = false })
        support.refusal(function() both:fit(x, y, quiet { batch_size = 4, shuffle = false }) end)
        assert(same_weights(first:get_weights(), both:get_weights()))
    end)

    it("goes on as Keras does when asked to", function()
        local x, y = sample(8)
        x[{ 3, 2 }] = 0 / 0
        local model = net()
        local history = model:fit(x, y, quiet { nan = "continue", epochs = 2 }).history
        assert.equal(2, #history.loss)
        assert(history.loss[1] ~= history.loss[1])
        fails('one of "stop", "continue"', function() model:fit(x, y, quiet { nan = "go" }) end)
    end)

    it("is left to TerminateOnNaN where that is among the callbacks", function()
        local x, y = sample(8)
        x[{ 3, 2 }] = 0 / 0
        local list, batches = { callbacks.TerminateOnNaN {} }, 0
        list[1].say = function() end
        list[2] = { on_batch_end = function() batches = batches + 1 end }
        local history = net():fit(x, y, quiet { callbacks = list, epochs = 3, batch_size = 2, shuffle = false }).history
        assert.equal(1, #history.loss)
        assert.equal(2, batches)
        fails("is nan", function() net():fit(x, y, quiet { callbacks = list, nan = "stop" }) end)
    end)
end)

describe("bytes", function()
    it("are scaled by input_scale, floats never", function()
        local bytes = moth.tensor({ 0, 51, 255 }, { dtype = "uint8" }):reshape(3, 1)
        local model = line(1)
        assert.near(0.2, model:predict(bytes)[2][1], 1e-6)
        assert.near(51, model:predict(bytes:to("float32"))[2][1], 1e-6)
        local half = line(1, { input_scale = 0.5 })
        assert.near(25.5, half:predict(bytes)[2][1], 1e-5)
        assert.near(25.5 ^ 2, half:evaluate(bytes:slice(1, 2, 2), moth.zeros(1, 1)).loss, 1e-2)
        assert.near(25.5 ^ 2, half:train_on_batch(bytes:slice(1, 2, 2), moth.zeros(1, 1)).loss, 1e-2)
    end)

    it("train to what floats train to", function()
        moth.seed(8)
        local bytes = moth.randint(0, 255, { 12, 4 }):to("uint8")
        local _, y = sample(12)
        local a, b = net(), net()
        b:set_weights(a:get_weights())
        a:fit(bytes, y, quiet { epochs = 3, shuffle = false })
        b:fit(bytes:to("float32") / 255, y, quiet { epochs = 3, shuffle = false })
        for k, w in ipairs(a:get_weights()) do
            assert((w - b:get_weights()[k]):abs():max():item() < 1e-5)
        end
    end)
end)

describe("augment", function()
    it("changes what trains, not what validates", function()
        local x, y = moth.ones(2, 1), moth.zeros(2, 1)
        local history = line(1):fit(x, y, quiet { epochs = 2, validation_data = { x, y },
            augment = function(t) return t * 3 end }).history
        assert.same({ 9, 9 }, history.loss)
        assert.same({ 1, 1 }, history.val_loss)
        fails("augment must be a function", function() line(1):fit(x, y, quiet { augment = 3 }) end)
    end)
end)

describe("wrong calls of fit", function()
    local x, y = sample(8)
    local cases = {
        { 'did you mean "epochs"?', { epoch = 3 } },
        { "batch_size must be at least 1 and at most 2147483647; got 0", { batch_size = 0 } },
        { "batch_size must be an integer; got 1.5", { batch_size = 1.5 } },
        { "epochs must be at least 0; got -1", { epochs = -1 } },
        { "epochs must be an integer", { epochs = 2 ^ 63 } },
        { "validation_split must be at least 0 and below 1; got 1", { validation_split = 1 } },
        { "validation_split must be a number", { validation_split = "0.2" } },
        { "validation_split must be a number, not nan", { validation_split = 0 / 0 } },
        { "leaves 0 of 8 samples for training", { validation_split = 0.99 } },
        { "validation_data[2] must be a tensor", { validation_data = { x } } },
        { "validation_data[1] must be a tensor", { validation_data = { x = x, y = y } } },
        { "y 1 has 7 samples, x has 8", { validation_data = { x, moth.ones(7, 3) } } },
        { "shuffle must be a boolean", { shuffle = 1 } },
        { "verbose must be one of 0, 1, 2", { verbose = 3 } },
        { "callbacks must be a list", { callbacks = 3 } },
        { "callbacks[1] must be a callback", { callbacks = { 3 } } },
        { "steps_per_epoch must be at least 1", { steps_per_epoch = 0 } },
    }
    for i, case in ipairs(cases) do
        it(("%d %s"):format(i, case[1]), function()
            local model = net()
            local before = model:get_weights()
            case[2].verbose = case[2].verbose or 0
            fails(case[1], function() model:fit(x, y, case[2]) end)
            assert(same_weights(before, model:get_weights()))
        end)
    end

    it("with data that do not fit", function()
        fails("x must be a tensor", function() net():fit(3, y, quiet {}) end)
        fails("y must be a tensor", function() net():fit(x, nil, quiet {}) end)
        fails("y 1 has 7 samples, x has 8", function() net():fit(x, moth.ones(7, 3), quiet {}) end)
        fails("there are no samples", function() net():fit(moth.zeros(0, 4), moth.zeros(0, 3), quiet {}) end)
        fails("there are no samples", function() net():evaluate(moth.zeros(0, 4), moth.zeros(0, 3)) end)
        fails("there are no samples", function() net():train_on_batch(moth.zeros(0, 4), moth.zeros(0, 3)) end)
        fails("the model has 1 inputs, got 2", function() net():fit({ x, x }, y, quiet {}) end)
        fails("targets (batch, 5) do not fit predictions (batch, 3)", function()
            net { loss = "mse" }:fit(x, moth.ones(8, 5), quiet {})
        end)
        fails("label 3 of row", function()
            net { loss = "sparse_categorical_crossentropy" }:fit(x, moth.tensor({ 0, 1, 2, 3, 0, 1, 2, 0 },
                { dtype = "int32" }), quiet {})
        end)
        fails("label -1 of row", function()
            net { loss = "sparse_categorical_crossentropy" }:fit(x, moth.tensor({ 0, 1, 2, -1, 0, 1, 2, 0 },
                { dtype = "int32" }), quiet {})
        end)
    end)

    it("with ids that are not whole: no class is guessed", function()
        local sparse = net { loss = "sparse_categorical_crossentropy" }
        fails("ids are whole numbers; got 0.5", function() sparse:fit(x, moth.full({ 8 }, 0.5), quiet {}) end)
        fails("ids are whole numbers; got 1.5", function() sparse:evaluate(x, moth.full({ 8, 1 }, 1.5)) end)
        fails("ids are whole numbers; got 0.25", function()
            net { loss = function(_, p) return p:sum() end, metrics = { "precision" } }:evaluate(x,
                moth.full({ 8 }, 0.25))
        end)
        local embedding = moth.Sequential { layers.Embedding { 5, 2, input_shape = { 3 } } }
        fails("ids are whole numbers; got 1.5", function() embedding:predict(moth.tensor { { 0, 1.5, 4 } }) end)
        assert.same(embedding:predict(moth.tensor { { 0, 1.0, 4 } }):totable(),
            embedding:predict(moth.tensor({ { 0, 1, 4 } }, { dtype = "uint8" })):totable())
    end)

    it("is a batch size or a number of steps out of all range", function()
        for _, size in ipairs { 2 ^ 31, 2 ^ 62 } do
            fails("at most 2147483647", function() net():fit(x, y, quiet { batch_size = size }) end)
            fails("at most 2147483647", function() net():predict(x, { batch_size = size }) end)
        end
        -- steps x batch_size is more than an integer holds.
        local model = net()
        model:fit(x, y, quiet { batch_size = 4, steps_per_epoch = 2 ^ 62 })
        assert.equal(8, model:predict(x, { batch_size = 4, steps = 2 ^ 62 }).shape[1])
        assert.equal(4, model:predict(x, { batch_size = 4, steps = 1 }).shape[1])
    end)

    it("is a batch without samples, from a generator or for validation", function()
        local function empty() return moth.zeros(0, 4), moth.zeros(0, 3) end
        fails("batch 1 of the generator has no samples", function() net():fit(empty, nil, quiet {}) end)
        fails("batch 1 of the generator has no samples", function() net():evaluate(empty, nil, { verbose = 0 }) end)
        fails("validation_data: there are no samples", function()
            net():fit(moth.rand(8, 4), moth.rand(8, 3), quiet { validation_data = { empty() } })
        end)
    end)
end)
