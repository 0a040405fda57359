--- A fit without a model, for specs of callbacks: logs are given, and what callbacks do is kept on record.
local callback = require "moth.callback"
local callbacks = require "moth.callbacks"
local progress = require "moth.progress"

local stand_in = {}

-- A model that only keeps a record; its weights are the number of the epoch.
function stand_in.model()
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
function stand_in.screen()
    local screen = progress.screen { live = false, color = false, out_color = false, utf8 = true,
        out_width = function() end }
    screen.messages, screen.results = {}, {}
    function screen:message(text) table.insert(self.messages, text) end
    function screen:result(text) table.insert(self.results, text) end
    return screen
end

-- What fit does, with given logs for each epoch; steps batches each.
function stand_in.fit(entries, epochs, settings)
    settings = settings or {}
    local model = settings.model or stand_in.model()
    model.stop_training = false
    local steps = settings.steps or 0
    local params = { epochs = #epochs, steps = steps, initial_epoch = 0, metrics = { "accuracy" }, verbose = 1,
        screen = settings.screen or stand_in.screen() }
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

return stand_in
