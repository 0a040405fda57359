-- Callbacks that decide: what they stop, change, save and bring back. Decisions of Keras are in tests/golden.
require "moth"
local callback = require "moth.callback"
local callbacks = require "moth.callbacks"
local json = require "moth.json"
local stand_in = require "tests.spec.stand_in"
local support = require "tests.spec.support"
local fit, stub_model, silent_screen = stand_in.fit, stand_in.model, stand_in.screen

local golden = dofile("tests/golden/callbacks.lua")

-- Values of a metric: what Lua data cannot say is written as text.
local function values_of(name)
    local values = {}
    for i, value in ipairs(golden.series[name]) do
        values[i] = json.number(value)
    end
    return values
end

local function epochs_of(series, monitor)
    local epochs = {}
    for i, value in ipairs(values_of(series)) do
        epochs[i] = { [monitor] = value }
    end
    return epochs
end

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

describe("EarlyStopping", function()
    for i, case in ipairs(golden.early_stopping) do
        it(("stops and restores as Keras does, case %d"):format(i), function()
            local history, model = fit(callbacks.EarlyStopping(case.options),
                epochs_of(case.series, case.options.monitor), { plain_weights = true })
            assert.are.equal(case.epochs, #history.epoch)
            assert.are.equal(case.weights, model.weights)
        end)
    end

    it("starts anew with each fit", function()
        local stopping = callbacks.EarlyStopping { patience = 1 }
        local epochs = epochs_of("plateau", "val_loss")
        local first = fit({ stopping }, epochs)
        local second = fit({ stopping }, epochs)
        assert.are.same(first.history, second.history)
    end)

    it("says what it does with verbose", function()
        local screen = silent_screen()
        fit({ callbacks.EarlyStopping { patience = 3, verbose = 1, restore_best_weights = true } },
            epochs_of("plateau", "val_loss"), { screen = screen })
        assert.are.same({ "Epoch 12: early stopping",
            "Restoring model weights from the end of the best epoch: 9." }, screen.messages)
    end)

    it("tells once that its metric is missing, and goes on", function()
        local screen = silent_screen()
        local history = fit({ callbacks.EarlyStopping {} }, { { loss = 1 }, { loss = 2 }, { loss = 3 } },
            { screen = screen })
        assert.are.equal(3, #history.epoch)
        assert.are.same({ 'callbacks.EarlyStopping: no metric named "val_loss"; known: loss' },
            screen.messages)
    end)

    it("finds the direction of metrics by name, prefixes and acc included", function()
        for name, mode in pairs { loss = "min", val_acc = "max", digit_accuracy = "max", val_digit_loss = "min",
            sparse_categorical_crossentropy = "min", auc = "max" } do
            assert.are.equal(mode, callbacks.EarlyStopping({ monitor = name }).mode)
        end
        assert.are.equal("val_accuracy", callbacks.EarlyStopping({ "val_acc" }).monitor)
    end)

    it("refuses what it does not know", function()
        assert.has_error(function() callbacks.EarlyStopping { patiance = 3 } end)
        assert.has_error(function() callbacks.EarlyStopping { patience = -1 } end)
        assert.has_error(function() callbacks.EarlyStopping { monitor = "fitness" } end)
        assert.has_error(function() callbacks.EarlyStopping { mode = "up" } end)
        local _, message = pcall(function() callbacks.EarlyStopping { monitor = "fitness" } end)
        assert.is_truthy(message:find('callbacks_spec.lua:%d+: callbacks.EarlyStopping: cannot tell whether "fitness"'))
    end)
end)

describe("ReduceLROnPlateau", function()
    for i, case in ipairs(golden.reduce_lr) do
        it(("sets and logs rates as Keras does, case %d"):format(i), function()
            local rates = {}
            local history = fit({
                callbacks.ReduceLROnPlateau(case.options),
                { on_epoch_end = function(self) table.insert(rates, self.model.optimizer.learning_rate) end },
            }, epochs_of(case.series, case.options.monitor))
            local logged = history.history.learning_rate
            assert.are.equal(#case.rates, #rates)
            assert.are.equal(#case.logged, #logged)
            for epoch = 1, #rates do
                assert.is_true(math.abs(rates[epoch] / case.rates[epoch] - 1) < 1e-8)
                assert.is_true(math.abs(logged[epoch] / case.logged[epoch] - 1) < 1e-8)
            end
        end)
    end

    it("refuses a factor of 1, and an optimizer with a schedule", function()
        assert.has_error(function() callbacks.ReduceLROnPlateau { factor = 1 } end)
        local model = stub_model()
        model.optimizer.learning_rate = {}
        local done, message = pcall(fit, { callbacks.ReduceLROnPlateau {} }, { { val_loss = 1 } }, { model = model })
        assert.is_false(done)
        assert.is_truthy(message:find("callbacks.ReduceLROnPlateau: the optimizer's learning_rate must be a number", 1,
            true))
    end)
end)

describe("ModelCheckpoint", function()
    for i, case in ipairs(golden.checkpoint) do
        it(("saves the files that Keras saves, case %d"):format(i), function()
            local options = support.copy(case.options)
            options.filepath = directory .. "/" .. options.filepath
            local _, model = fit({ callbacks.ModelCheckpoint(options) }, epochs_of(case.series, options.monitor))
            for k, path in ipairs(model.saved) do
                model.saved[k] = path:sub(#directory + 2)
            end
            assert.are.same(case.saved, model.saved)
        end)
    end

    for i, case in ipairs(golden.batch_saves) do
        it(("counts batches as Keras does, case %d"):format(i), function()
            local model = stub_model()
            local list = callback.list(callbacks.ModelCheckpoint {
                directory .. "/{epoch} {batch}", save_freq = case.frequency, save_weights_only = true,
            }, { model = model, params = {}, history = callbacks.History {} })
            for epoch, steps in ipairs(case.steps) do
                list:call("on_epoch_begin", epoch, {})
                for batch = 1, steps do
                    list:call("on_batch_end", batch, { loss = 1 })
                end
                list:call("on_epoch_end", epoch, { loss = 1 })
            end
            local saves = {}
            for k, path in ipairs(model.saved) do
                local epoch, batch = path:match("(%d+) (%d+)$")
                saves[k] = { math.tointeger(epoch), math.tointeger(batch) }
            end
            assert.are.same(case.saves, saves)
        end)
    end

    it("asks for the logs of batches only when it saves by batches", function()
        local function wants(options)
            return callback.list(callbacks.ModelCheckpoint(options),
                { model = stub_model(), params = {}, history = callbacks.History {} }):wants("on_batch_end")
        end
        assert.is_false(wants { "a" })
        assert.is_true(wants { "a", save_freq = 5 })
    end)

    it("makes directories", function()
        local path = directory .. "/it's/deep/m.safetensors"
        fit({ callbacks.ModelCheckpoint(path) }, { { val_loss = 1 } })
        assert.are.equal("1 0.1", support.read(path))
    end)

    it("says what it does with verbose", function()
        local screen = silent_screen()
        fit({ callbacks.ModelCheckpoint { directory .. "/m", save_best_only = true, verbose = 1 } },
            { { val_loss = 0.5 }, { val_loss = 0.75 }, { val_loss = 0.25 } }, { screen = screen })
        assert.are.same({
            "Epoch 1: val_loss improved from none to 0.50000, saving model to " .. directory .. "/m",
            "Epoch 2: val_loss did not improve from 0.50000",
            "Epoch 3: val_loss improved from 0.50000 to 0.25000, saving model to " .. directory .. "/m",
        }, screen.messages)
    end)

    it("refuses wrong paths and unknown fields", function()
        for _, options in ipairs { {}, { 5 }, { "a{epoch" }, { "a}b" }, { "a{epoch:02x}" }, { "{epoch:%s}" },
            { "a", save_freq = 0 }, { "a", save_freq = "batch" }, { "a", save_freq = 1.5 } } do
            assert.has_error(function() callbacks.ModelCheckpoint(options) end)
        end
        local done, message = pcall(fit, { callbacks.ModelCheckpoint "{val_los}" }, { { loss = 1, val_loss = 1 } })
        assert.is_false(done)
        assert.is_truthy(message:find('unknown field of filepath "val_los"; did you mean "val_loss"? known: epoch',
            1, true))
        assert.has_error(function() fit({ callbacks.ModelCheckpoint "{loss:02d}" }, { { loss = 0.5 } }) end)
    end)

    it("knows the older name of accuracy in a path", function()
        fit({ callbacks.ModelCheckpoint { directory .. "/a{val_acc:.2f}_{digit_acc:.1f}" } },
            { { loss = 1, val_loss = 1, val_accuracy = 0.75, digit_accuracy = 0.5 } })
        assert.is_truthy(support.read(directory .. "/a0.75_0.5"))
    end)
end)

describe("LearningRateScheduler", function()
    it("sets the rate when an epoch begins and logs it", function()
        local seen = {}
        local history = fit({ callbacks.LearningRateScheduler(function(epoch, rate)
            seen[#seen + 1] = { epoch, rate }
            return epoch < 3 and rate or rate / 2
        end) }, { { loss = 1 }, { loss = 1 }, { loss = 1 }, { loss = 1 } })
        assert.are.same({ { 1, 0.1 }, { 2, 0.1 }, { 3, 0.1 }, { 4, 0.05 } }, seen)
        assert.are.same({ 0.1, 0.1, 0.05, 0.025 }, history.history.learning_rate)
    end)

    it("refuses what is no rate", function()
        for _, rate in ipairs { "0.1", 0 / 0, -1, {} } do
            assert.has_error(function()
                fit({ callbacks.LearningRateScheduler(function() return rate end) }, { { loss = 1 } })
            end)
        end
        assert.has_error(function() callbacks.LearningRateScheduler {} end)
        assert.has_error(function() callbacks.LearningRateScheduler(0.1) end)
    end)
end)

describe("TerminateOnNaN", function()
    for name, loss in pairs { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge } do
        it("stops at a loss of " .. name, function()
            local screen = silent_screen()
            local history = fit({ callbacks.TerminateOnNaN {} }, { { loss = loss }, { loss = loss } },
                { steps = 1, batch_loss = loss, screen = screen })
            assert.are.equal(1, #history.epoch)
            assert.are.same({ "Batch 1: invalid loss, terminating training" }, screen.messages)
        end)
    end

    it("raises when asked to, and lets finite losses pass", function()
        assert.has_error(function()
            fit({ callbacks.TerminateOnNaN { raise_error = true } }, { { loss = 1 } },
                { steps = 1, batch_loss = 0 / 0 })
        end)
        local history = fit({ callbacks.TerminateOnNaN(true) }, { { loss = 1 }, { loss = 1 } }, { steps = 2 })
        assert.are.equal(2, #history.epoch)
    end)
end)

describe("LambdaCallback", function()
    it("calls plain functions without self", function()
        local calls = {}
        local function note(name)
            return function(...)
                local first = ...
                calls[#calls + 1] = type(first) == "table" and name or name .. " " .. first
            end
        end
        fit({ callbacks.LambdaCallback { on_train_begin = note "begin", on_epoch_begin = note "epoch",
            on_train_batch_end = note "batch", on_epoch_end = note "end of epoch", on_train_end = note "end" } },
            { { loss = 1 } }, { steps = 2 })
        assert.are.same({ "begin", "epoch 1", "batch 1", "batch 2", "end of epoch 1", "end" }, calls)
    end)

    it("refuses unknown hooks and what is no function", function()
        assert.has_error(function() callbacks.LambdaCallback { on_epoch_ends = print } end)
        assert.has_error(function() callbacks.LambdaCallback { on_epoch_end = 5 } end)
    end)
end)

describe("the list of callbacks", function()
    it("takes tables with hooks, and knows who wants what", function()
        local list = callback.list({ { on_train_batch_end = function(self) self.called = true end } },
            { model = stub_model(), params = {}, history = callbacks.History {} })
        assert.is_true(list:wants("on_batch_end"))
        assert.is_false(list:wants("on_batch_begin"))
    end)

    it("gives callbacks the model, the parameters and each other", function()
        local seen = {}
        local _, model = fit({ { on_train_begin = function(self)
            seen.model, seen.epochs, seen.peers = self.model, self.params.epochs, #self.peers
        end } }, { { loss = 1 }, { loss = 1 } })
        assert.are.same({ model = model, epochs = 2, peers = 2 }, seen)
    end)

    it("refuses what is no callback", function()
        for entries, message in pairs {
            [5] = "fit: callbacks must be a list of callbacks; got 5",
            [{ 5 }] = "fit: callbacks[1] must be a callback or a table of hooks; got 5",
            [{ {} }] = "fit: callbacks[1] has no hook; known: on_train_begin",
            [{ callbacks.History {}, { on_epoch_ende = print } }] =
                'fit: callbacks[2] has an unknown hook "on_epoch_ende"; did you mean "on_epoch_end"?',
        } do
            local done, text = pcall(fit, entries, {})
            assert.is_false(done)
            assert.is_truthy(text:find(message, 1, true), text)
        end
    end)
end)

describe("BackupAndRestore", function()
    local function callbacks_of()
        return {
            callbacks.BackupAndRestore { directory .. "/backup" },
            callbacks.EarlyStopping { patience = 4, restore_best_weights = true },
            callbacks.ReduceLROnPlateau { patience = 1, factor = 0.5 },
        }
    end

    local function run(settings)
        return fit(callbacks_of(), epochs_of("plateau", "val_loss"), settings)
    end

    it("goes on after a kill in any epoch as if nothing had happened", function()
        local history, model = run()
        for killed_in = 1, #history.epoch do
            run { killed_in = killed_in }
            local screen = silent_screen()
            local resumed, after = run { screen = screen }
            assert.are.same(history.history, resumed.history)
            assert.are.same(history.epoch, resumed.epoch)
            assert.are.equal(model.weights, after.weights)
            assert.are.equal(model.optimizer.learning_rate, after.optimizer.learning_rate)
            assert.are.equal(killed_in > 1 and "BackupAndRestore: going on after epoch " .. killed_in - 1 or nil,
                screen.messages[1])
        end
    end)

    it("leaves nothing behind when training has ended", function()
        run()
        assert.is_nil(io.open(directory .. "/backup"))
    end)

    it("keeps the backup after Ctrl-C, or when asked to", function()
        run { interrupted = true }
        assert.is_truthy(io.open(directory .. "/backup/state.json"))
        fit({ callbacks.BackupAndRestore { directory .. "/kept", delete_checkpoint = false } }, { { loss = 1 } })
        assert.is_truthy(io.open(directory .. "/kept/state.json"))
    end)

    it("does not train on where training had stopped", function()
        local history = run { interrupted = true }
        local again = run()
        assert.are.same(history.epoch, again.epoch)
    end)

    it("refuses a backup that it cannot read", function()
        os.execute("mkdir " .. directory .. "/backup")
        for _, text in ipairs { "", "{", "[]", '{"format_version":2,"epoch":1,"model":"a","callbacks":{}}' } do
            local file = assert(io.open(directory .. "/backup/state.json", "wb"))
            file:write(text)
            file:close()
            local done, message = pcall(run)
            assert.is_false(done)
            assert.is_truthy(message:find("is no backup that this version of moth can read", 1, true))
        end
        assert.has_error(function() callbacks.BackupAndRestore {} end)
        assert.has_error(function() callbacks.BackupAndRestore "" end)
        assert.has_error(function() callbacks.BackupAndRestore { "a", save_freq = 10 } end)
    end)
end)
