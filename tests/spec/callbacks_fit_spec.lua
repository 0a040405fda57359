-- Callbacks in real fits: what only the model itself can show.
local moth = require "moth"
local support = require "tests.spec.support"
local callbacks, layers = moth.callbacks, moth.layers

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

local x, y

setup(function()
    moth.seed(7)
    x = moth.randn(96, 6)
    local rows = {}
    for i, row in ipairs(x:totable()) do
        rows[i] = row[1] + row[2] > row[3] and 1 or 0
    end
    y = moth.tensor(rows, { dtype = "int32" })
end)

-- A model with draws (dropout) and slots (Adam).
local function new_model(seed)
    moth.seed(seed or 3)
    local model = moth.Sequential {
        layers.Dense { 12, activation = "relu", input_shape = { 6 } },
        layers.Dropout(0.3),
        layers.Dense { 2, activation = "softmax" },
    }
    model:compile { optimizer = moth.optimizers.Adam { lr = 0.02 }, loss = "sparse_categorical_crossentropy",
        metrics = { "accuracy" } }
    return model
end

local function weights_of(model)
    local list = {}
    for i, tensor in ipairs(model:get_weights()) do
        list[i] = tensor:totable()
    end
    return list
end

local function fit(model, entries, epochs)
    return model:fit(x, y, { epochs = epochs or 8, batch_size = 16, validation_split = 0.25, verbose = 0,
        callbacks = entries })
end

local function killer(epoch)
    return { on_batch_end = function(self, batch)
        if self.at == epoch and batch == 2 then
            error("killed", 0)
        end
    end, on_epoch_begin = function(self, at) self.at = at end }
end

describe("BackupAndRestore in a fit", function()
    local function entries(...)
        return { callbacks.BackupAndRestore { directory .. "/backup" },
            callbacks.EarlyStopping { patience = 5, restore_best_weights = true },
            callbacks.ReduceLROnPlateau { patience = 1, factor = 0.5, min_delta = 0.01 }, ... }
    end

    it("goes on to the same bits after a fit that broke off in any epoch", function()
        local model = new_model()
        local history = fit(model, entries())
        local weights = weights_of(model)
        for epoch = 1, #history.epoch do
            assert.has_error(function() fit(new_model(), entries(killer(epoch))) end, "killed")
            -- The script runs again from its start; a seed of its own would be another one.
            local again = new_model(epoch > 1 and 99 or 3)
            local resumed = fit(again, entries())
            assert.are.same(history.history, resumed.history)
            assert.are.same(history.epoch, resumed.epoch)
            assert.are.same(weights, weights_of(again))
            assert.are.equal(model.optimizer.learning_rate, again.optimizer.learning_rate)
        end
        assert.is_nil(io.open(directory .. "/backup"))
    end)

    it("says when the backup is of another model", function()
        assert.has_error(function() fit(new_model(), entries(killer(3))) end)
        moth.seed(1)
        local other = moth.Sequential { layers.Dense { 2, activation = "softmax", input_shape = { 6 } } }
        other:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy" }
        local before = weights_of(other)
        assert.has_error(function() fit(other, entries()) end)
        assert.are.same(before, weights_of(other))
        local sgd = new_model()
        sgd:compile { optimizer = "sgd", loss = "sparse_categorical_crossentropy" }
        local done, message = pcall(fit, sgd, entries())
        assert.is_false(done)
        assert.is_truthy(message:find("was saved with another optimizer", 1, true), message)
    end)
end)

describe("model:resume", function()
    it("refuses files that are no model, and models that are not compiled", function()
        local model = new_model()
        assert.has_error(function() model:resume(directory .. "/absent") end)
        assert.has_error(function() model:resume() end)
        model:save_weights(directory .. "/weights.safetensors")
        assert.has_error(function() model:resume(directory .. "/weights.safetensors") end)
        model:save(directory .. "/model.safetensors")
        local bare = moth.Sequential { layers.Dense { 2, input_shape = { 6 } } }
        assert.has_error(function() bare:resume(directory .. "/model.safetensors") end)
    end)
end)

describe("callbacks in a fit", function()
    it("restore the best weights", function()
        local model = new_model()
        local kept = {}
        local history = fit(model, { callbacks.EarlyStopping { patience = 2, restore_best_weights = true },
            { on_epoch_end = function(self, epoch) kept[epoch] = weights_of(self.model) end } }, 20)
        local best = 1
        for epoch, loss in ipairs(history.history.val_loss) do
            best = loss < history.history.val_loss[best] and epoch or best
        end
        assert.are.same(kept[best], weights_of(model))
    end)

    it("set the learning rate that training uses", function()
        local model = new_model()
        local before = weights_of(model)
        local history = fit(model, callbacks.LearningRateScheduler(function() return 0 end), 1)
        assert.are.same({ 0 }, history.history.learning_rate)
        assert.are.same(before[1], weights_of(model)[1])
    end)

    it("save checkpoints that load", function()
        local model = new_model()
        fit(model, { callbacks.ModelCheckpoint { directory .. "/best-{epoch:02d}.safetensors", save_best_only = true },
            callbacks.ModelCheckpoint { directory .. "/last.safetensors" } }, 3)
        local loaded = moth.load_model(directory .. "/last.safetensors")
        assert.are.same(weights_of(model), weights_of(loaded))
        assert.is_truthy(io.open(directory .. "/best-01.safetensors"))
    end)

    it("stop training within an epoch", function()
        local model, batches = new_model(), 0
        local history = fit(model, { on_batch_end = function(self)
            batches = batches + 1
            self.model.stop_training = batches == 7
        end })
        -- 72 samples in batches of 16 are 5 batches an epoch.
        assert.are.equal(7, batches)
        assert.are.equal(2, #history.epoch)
    end)

    it("leave files for the eye", function()
        local history = fit(new_model(), { callbacks.CSVLogger(directory .. "/log.csv"),
            callbacks.TensorBoard { directory .. "/logs" } }, 3)
        local lines = {}
        for line in io.lines(directory .. "/log.csv") do
            lines[#lines + 1] = line
        end
        assert.are.equal("epoch,accuracy,loss,val_accuracy,val_loss", lines[1])
        assert.are.equal(4, #lines)
        history:plot(directory .. "/curves.svg")
        assert.is_truthy(io.open(directory .. "/curves.svg"))
    end)
end)
