require "moth"
local callback = require "moth.callback"
local callbacks = require "moth.callbacks"
local json = require "moth.json"
local progress = require "moth.progress"
local support = require "tests.spec.support"

local golden = dofile("tests/golden/callbacks.lua")

-- Values of a metric: what Lua data cannot say is written as text.
local function values_of(name)
    local values = {}
    for i, value in ipairs(golden.series[name]) do
        values[i] = json.number(value)
    end
    return values
end

-- A model that only keeps a record; its weights are the number of the epoch.
local function stub_model()
    local model = { optimizer = { learning_rate = 0.1 }, weights = 0, saved = {}, stop_training = false }
    function model:get_weights() return { self.weights } end
    function model:set_weights(list) self.weights = list[1] end
    function model:save(path)
        self.saved[#self.saved + 1] = path
        local file = assert(io.open(path, "wb"))
        file:write(self.weights, " ", self.optimizer.learning_rate)
        file:close()
    end
    function model:save_weights(path)
        self:save(path)
        self.saved[#self.saved] = "weights of " .. path
    end
    function model:load_weights(path)
        local file = assert(io.open(path, "rb"))
        self.weights = math.tointeger(file:read("n"))
        file:close()
    end
    function model:resume(path)
        local file = assert(io.open(path, "rb"))
        self.weights, self.optimizer.learning_rate = math.tointeger(file:read("n")), file:read("n")
        file:close()
    end
    return model
end

-- A screen that keeps messages and results instead of showing them.
local function silent_screen()
    local screen = progress.screen { live = false, color = false, out_color = false, utf8 = true,
        out_width = function() end }
    screen.messages, screen.results = {}, {}
    function screen:message(text) table.insert(self.messages, text) end
    function screen:result(text) table.insert(self.results, text) end
    return screen
end

-- What fit does, with given logs for each epoch; steps batches each.
local function fit(entries, epochs, settings)
    settings = settings or {}
    local model = settings.model or stub_model()
    model.stop_training = false
    local steps = settings.steps or 0
    local params = { epochs = #epochs, steps = steps, initial_epoch = 0, metrics = { "accuracy" }, verbose = 1,
        screen = settings.screen or silent_screen() }
    local list = callback.list(entries, { model = model, params = params, history = callbacks.History {},
        bar = settings.bar and callbacks.ProgressBar {} })
    list:call("on_train_begin", {})
    for epoch = params.initial_epoch + 1, #epochs do
        list:call("on_epoch_begin", epoch, {})
        for batch = 1, steps do
            list:call("on_batch_begin", batch, {})
            list:call("on_batch_end", batch, { loss = settings.batch_loss or 1 })
        end
        if settings.killed_in == epoch then
            return nil, model, params
        end
        model.weights = model.weights * 10 + epoch
        if settings.plain_weights then
            model.weights = epoch
        end
        local logs = {}
        for name, value in pairs(epochs[epoch]) do
            logs[name] = value
        end
        list:call("on_epoch_end", epoch, logs)
        if model.stop_training then
            break
        end
    end
    params.interrupted = settings.interrupted
    list:call("on_train_end", {})
    return list.history, model, params
end

local function epochs_of(series, monitor)
    local epochs = {}
    for i, value in ipairs(values_of(series)) do
        epochs[i] = { [monitor] = value }
    end
    return epochs
end

local function copy(options)
    local new = {}
    for key, value in pairs(options) do
        new[key] = value
    end
    return new
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
            local options = copy(case.options)
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

describe("CSVLogger", function()
    for i, case in ipairs(golden.csv) do
        it(("writes the lines that Keras writes, case %d"):format(i), function()
            local options = copy(case.options)
            options.filename = directory .. "/log.csv"
            fit({ callbacks.CSVLogger(options) }, case.logs)
            local expected = {}
            for k, row in ipairs(case.rows) do
                expected[k] = (k == 1 and "epoch" or k - 1) .. (options.separator or ",") .. row
            end
            assert.are.equal(table.concat(expected, "\n") .. "\n", support.read(options.filename))
        end)
    end

    it("appends below one header", function()
        local path = directory .. "/log.csv"
        fit({ callbacks.CSVLogger { path } }, { { loss = 2 } })
        fit({ callbacks.CSVLogger { path, append = true } }, { { loss = 1 } })
        assert.are.equal("epoch,loss,val_loss\n1,2,NA\n1,1,NA\n", support.read(path))
    end)

    it("raises where it cannot write", function()
        local done, message = pcall(fit, { callbacks.CSVLogger(directory) }, { { loss = 1 } })
        assert.is_false(done)
        assert.is_truthy(message:find("callbacks.CSVLogger: cannot open", 1, true))
        assert.has_error(function() callbacks.CSVLogger {} end)
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

describe("History", function()
    it("keeps a list for each name and the epochs", function()
        local history, model = fit(nil, { { loss = 1, val_loss = 2 }, { loss = 0.5 }, { loss = 0.25, val_loss = 1 } })
        assert.are.same({ loss = { 1, 0.5, 0.25 }, val_loss = { 2, 1 } }, history.history)
        assert.are.same({ 1, 2, 3 }, history.epoch)
        assert.are.equal(history, model.history)
        assert.are.equal("History: 3 epochs - loss: 0.2500 - val_loss: 1.0000", tostring(history))
    end)

    it("can be given by the user", function()
        local own = callbacks.History {}
        assert.are.equal(own, (fit({ own }, { { loss = 1 } })))
        assert.are.same({ loss = { 1 } }, own.history)
    end)

    it("comes back from its state with what is not finite", function()
        local history = fit(nil, { { loss = 0 / 0, accuracy = 0.5 }, { loss = math.huge, accuracy = 1 } })
        local back = callbacks.History {}
        back:restore(json.decode(json.encode((history:state()))))
        assert.are.same({ 1, 2 }, back.epoch)
        assert.are.same({ 0.5, 1 }, back.history.accuracy)
        assert.is_true(back.history.loss[1] ~= back.history.loss[1])
        assert.are.equal(math.huge, back.history.loss[2])
    end)
end)

describe("ProgressBar", function()
    it("gives one line for each epoch", function()
        local screen = silent_screen()
        fit(nil, { { loss = 1, accuracy = 0.5, val_loss = 2 }, { loss = 0.5, accuracy = 0.75 } },
            { screen = screen, bar = true, steps = 3 })
        assert.are.equal(2, #screen.results)
        assert.is_truthy(screen.results[1]:find(
            "^Epoch 1/2 %- 3/3 %- 0%.0s %- %d+%a+/step %- loss: 1%.0000 %- accuracy: 0%.5000 %- val_loss: 2%.0000$"))
    end)

    it("asks for batches only where somebody sees them", function()
        local function wants(live, entries)
            local screen = silent_screen()
            screen.live = live
            return callback.list(entries, { model = stub_model(), history = callbacks.History {},
                params = { screen = screen, steps = 3 }, bar = callbacks.ProgressBar {} }):wants("on_batch_end")
        end
        assert.is_true(wants(true))
        assert.is_false(wants(false))
        assert.is_true(wants(false, { callbacks.TerminateOnNaN {} }))
        assert.is_false(wants(true, { callbacks.ProgressBar { verbose = 2 } }))
    end)

    it("is added only where the user gave none", function()
        local screen = silent_screen()
        fit({ callbacks.ProgressBar { verbose = 0 } }, { { loss = 1 } }, { screen = screen, bar = true })
        assert.are.equal(0, #screen.results)
        assert.has_error(function() callbacks.ProgressBar { verbose = 3 } end)
    end)
end)

describe("LivePlot", function()
    local epochs = { { loss = 4, val_loss = 3 }, { loss = 2, val_loss = 2 }, { loss = 1, val_loss = 1.5 } }

    it("shows the curves once at the end where nothing can be drawn over", function()
        local screen = silent_screen()
        fit({ callbacks.LivePlot { height = 6 } }, epochs, { screen = screen })
        assert.are.equal(1, #screen.messages)
        local lines = {}
        for line in screen.messages[1]:gmatch("[^\n]+") do
            lines[#lines + 1] = line
        end
        assert.is_truthy(lines[1]:find("loss   a training   b validation", 1, true))
        assert.are.equal(1 + 6 + 3, #lines)
    end)

    it("keeps the curves below the lines of the epochs on a live screen", function()
        local written = {}
        local stream = { flush = function() end }
        function stream:write(...)
            written[#written + 1] = table.concat { ... }
            return self
        end
        local screen = progress.screen { live = true, color = false, out_color = false, utf8 = true, err = stream,
            out = stream, width = function() return 60 end, out_width = function() end, clock = os.clock }
        fit({ callbacks.LivePlot { "loss", height = 6 } }, epochs, { screen = screen, bar = true })
        local text = table.concat(written)
        -- Drawn after epochs 2 and 3; taken off the screen before the lines of epochs 2 and 3 and before the new plot.
        local _, drawn = text:gsub("validation", "")
        local _, lifted = text:gsub("\27%[10A\27%[J", "")
        assert.are.equal(4, drawn)
        assert.are.equal(3, lifted)
        assert.is_truthy(text:find("epoch\n$"))
        assert.is_nil(screen.block)
    end)

    it("refuses what it does not know", function()
        assert.has_error(function() callbacks.LivePlot { height = 1 } end)
        assert.has_error(function() callbacks.LivePlot { 5 } end)
        assert.has_error(function()
            fit({ callbacks.LivePlot { "acuracy" } }, epochs, { screen = silent_screen() })
        end)
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

describe("TensorBoard", function()
    -- Bit by bit, unlike the table of the writer; checked against a published value below.
    local function crc32c(data)
        local crc = 0xFFFFFFFF
        for i = 1, #data do
            crc = crc ~ data:byte(i)
            for _ = 1, 8 do
                crc = crc >> 1 ~ (-(crc & 1) & 0x82F63B78)
            end
        end
        return ~crc & 0xFFFFFFFF
    end

    local function masked(data)
        local crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    end

    local function fields(data)
        local list, at = {}, 1
        local function varint()
            local value, shift = 0, 0
            while true do
                local byte = data:byte(at)
                at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
                if byte < 0x80 then
                    return value
                end
            end
        end
        while at <= #data do
            local key = varint()
            local wire = key & 7
            local value
            if wire == 0 then
                value = varint()
            elseif wire == 2 then
                local size = varint()
                value, at = data:sub(at, at + size - 1), at + size
            else
                value, at = (wire == 1 and "<d" or "<f"):unpack(data, at)
            end
            list[#list + 1] = { key >> 3, value }
        end
        return list
    end

    local function read_events(part)
        local pipe = io.popen("ls " .. directory .. "/logs/" .. part .. "/events.out.tfevents.*")
        local path = pipe:read("l")
        assert.is_nil(pipe:read("l"))
        pipe:close()
        local text, at, scalars = support.read(path), 1, {}
        while at <= #text do
            local size, size_crc = ("<I8I4"):unpack(text, at)
            assert.are.equal(masked(text:sub(at, at + 7)), size_crc)
            local data = text:sub(at + 12, at + 11 + size)
            assert.are.equal(masked(data), (("<I4"):unpack(text, at + 12 + size)))
            at = at + 16 + size
            local event = {}
            for _, field in ipairs(fields(data)) do
                event[field[1]] = field[2]
            end
            assert.is_true(math.abs(event[1] - os.time()) < 100)
            if at == 1 + 16 + size then
                assert.are.equal("brain.Event:2", event[3])
            else
                for _, value in ipairs(fields(event[5])) do
                    local scalar = fields(value[2])
                    table.insert(scalars, { event[2], scalar[1][2], scalar[2][2] })
                end
            end
        end
        return scalars
    end

    it("checks with a known CRC-32C", function()
        assert.are.equal(0xE3069283, crc32c("123456789"))
    end)

    it("writes losses, metrics and the rate of each epoch", function()
        fit({ callbacks.TensorBoard { directory .. "/logs" } },
            { { loss = 0.5, accuracy = 0.25, val_loss = 2 }, { loss = 0.125, accuracy = 1, val_loss = 300 } },
            { steps = 2 })
        local rate = ("<f"):unpack(("<f"):pack(0.1))
        assert.are.same({ { 1, "epoch_accuracy", 0.25 }, { 1, "epoch_learning_rate", rate }, { 1, "epoch_loss", 0.5 },
            { 2, "epoch_accuracy", 1 }, { 2, "epoch_learning_rate", rate }, { 2, "epoch_loss", 0.125 } },
            read_events "train")
        assert.are.same({ { 1, "epoch_loss", 2 }, { 2, "epoch_loss", 300 } }, read_events "validation")
    end)

    it("writes every n-th batch when asked to", function()
        local model = stub_model()
        model.optimizer = nil
        fit({ callbacks.TensorBoard { directory .. "/logs", update_freq = 150 } }, { {}, {} },
            { steps = 200, model = model })
        assert.are.same({ { 150, "batch_loss", 1 }, { 300, "batch_loss", 1 } }, read_events "train")
    end)

    it("refuses what it does not know and where it cannot write", function()
        assert.has_error(function() callbacks.TensorBoard { update_freq = "hour" } end)
        assert.has_error(function() callbacks.TensorBoard { histogram = 1 } end)
        local file = assert(io.open(directory .. "/file", "wb"))
        file:close()
        assert.has_error(function() fit({ callbacks.TensorBoard { directory .. "/file" } }, { { loss = 1 } }) end)
    end)
end)
