--- model:fit: epochs over tensors or over what a generator gives, validation, callbacks; an end keeps what there is.

local core = require "moth.core"
local batches = require "moth.batches"
local options = require "moth.options"

local fit = {}

local function callable(value)
    local meta = debug.getmetatable(value)
    return (type(value) == "function" or type(meta) == "table" and meta.__call) and value or nil, "a function"
end

local fit_spec = {
    name = "fit", positionals = 0,
    { "batch_size", "integer", default = 32, min = 1, max = batches.MAX_SIZE },
    { "epochs", "integer", default = 1, min = 0 },
    { "validation_split", "number", default = 0, min = 0, below = 1 },
    { "validation_data", "table|function" },
    { "validation_batch_size", "integer", min = 1, max = batches.MAX_SIZE },
    { "validation_freq", "integer|table", default = 1, min = 1 },
    { "validation_steps", "integer", min = 1 },
    { "shuffle", "boolean", default = true },
    { "verbose", { 0, 1, 2 } },
    { "callbacks", "any" },
    { "class_weight", "table" },
    { "sample_weight", "any" },
    { "initial_epoch", "integer", default = 0, min = 0 },
    { "steps_per_epoch", "integer", min = 1 },
    { "augment", callable },
    { "nan", { "stop", "continue" }, default = "stop" },
}

-- ---- what trains, what validates ------------------------------------------------------------------------------------

-- Samples of a plan: `count` from `first`, and where the next epoch with steps_per_epoch goes on.
local function training_plan(self, x, y, read)
    local xs = batches.inputs(self, x, "x")
    batches.make_ready(self, xs)
    local ys = batches.targets(self, y, "y")
    return {
        x = xs, y = ys, first = 0, count = batches.samples(xs),
        weight = batches.sample_weights(self, ys, read, "fit"),
    }
end

local function split_off(plan, read)
    local n = plan.count
    local at = math.floor(n * (1 - read.validation_split))
    if at == 0 or at == n then
        options.fail(("fit: validation_split %g leaves %d of %d samples for training and %d for validation"):format(
            read.validation_split, at, n, n - at))
    end
    plan.count = at
    -- Class weights count in training only, as in Keras.
    return { x = plan.x, y = plan.y, weight = read.sample_weight and plan.weight, first = at, count = n - at }
end

local function given_data(self, data)
    local x = batches.inputs(self, data[1], "validation_data[1]")
    batches.make_ready(self, x)
    local y = batches.targets(self, data[2], "validation_data[2]")
    return {
        x = x, y = y, first = 0, count = batches.samples(x),
        weight = batches.weights(self, data[3], "validation_data[3]"),
    }
end

---@return moth.Source?
local function validation_source(self, plan, read)
    local source
    if type(read.validation_data) == "function" then
        return { who = "fit: validation_data", generator = read.validation_data, steps = read.validation_steps }
    elseif read.validation_data then
        source = given_data(self, read.validation_data)
    elseif read.validation_split > 0 then
        source = split_off(plan, read)
    else
        return nil
    end
    source.who = "fit: validation_data"
    source.batch_size = read.validation_batch_size or read.batch_size
    if source.count == 0 then
        options.fail("fit: validation_data: there are no samples")
    end
    source.count = batches.limited(source.count, read.validation_steps, source.batch_size)
    source.steps = (source.count + source.batch_size - 1) // source.batch_size
    -- What does not fit is told before the first epoch, not after it.
    core.pass(self, "evaluate", source.x, source.y, source.weight, 1, source.first, source.count):close()
    return source
end

local function refuse_with_generator(read, y)
    batches.no_targets("fit", y)
    for _, name in ipairs { "sample_weight", "class_weight" } do
        if read[name] then
            options.fail(("fit: a generator gives weights as its third value, not by %s"):format(name))
        end
    end
    if read.validation_split > 0 then
        options.fail("fit: validation_split needs tensors; a generator goes with validation_data")
    end
end

-- ---- epochs ---------------------------------------------------------------------------------------------------------

local function validate(self, source, list)
    list:call("on_test_begin", {})
    local step, each = 0, nil
    if list:wants("on_test_batch_end") then
        each = function()
            step = step + 1
            list:call("on_test_batch_end", step, {})
        end
    end
    local values = batches.evaluate(self, source, each)
    list:call("on_test_end", values)
    return values
end

-- The first of the inputs changed for this epoch or batch; the others as they are.
local function augmented(self, x, augment)
    if not augment then
        return x
    end
    local made = augment(x[1], self.seed, self.step)
    if not core.is_tensor(made) or made.shape[1] ~= x[1].shape[1] then
        options.fail(("fit: augment must return a tensor of as many samples as it gets; got %s"):format(
            core.is_tensor(made) and ("one of shape (%s)"):format(table.concat(made.shape, ", "))
            or options.show(made)))
    end
    local list = table.move(x, 1, #x, 1, {})
    list[1] = made
    return list
end

-- Where this epoch starts, how many samples it takes and in which order. With steps_per_epoch an epoch goes on where
-- the one before stopped, and starts anew when no sample is left, as in Keras.
local function next_samples(self, plan, read)
    local at = plan.at or 0
    if at == 0 then
        plan.order = read.shuffle and core.shuffle(self, plan.count) or nil
    end
    local count = plan.count - at
    if read.steps_per_epoch then
        count = batches.limited(count, read.steps_per_epoch, read.batch_size)
        plan.at = (at + count) % plan.count
    end
    local order = plan.order
    if order and count < plan.count then
        order = order:slice(1, at + 1, at + count)
    end
    return plan.first + at, count, order
end

-- One epoch over tensors. Batches run in C; between them only what callbacks ask for.
local function train_epoch(self, plan, read, list, logs)
    local first, count, order = next_samples(self, plan, read)
    local x = augmented(self, plan.x, read.augment)
    local pass <close> = core.pass(self, "train", x, plan.y, plan.weight, read.batch_size, first, count, order)
    local each_batch = list:wants("on_batch_begin") or list:wants("on_batch_end")
    local batch, left = 0
    repeat
        if each_batch then
            list:call("on_batch_begin", batch + 1, logs)
        end
        left = pass:run(1)
        batch = batch + 1
        if each_batch then
            list:call("on_batch_end", batch, core.values(self))
        end
    until left == 0 or self.stop_training
    return core.values(self)
end

-- One epoch over what a generator gives: x, y[, w] for each batch, nil at the end.
local function train_generator(self, generator, read, list, logs)
    for batch, x, y, w in batches.generated(self, generator, "fit", read.steps_per_epoch) do
        list:call("on_batch_begin", batch, logs)
        local n = batches.samples(x)
        do
            local pass <close> = core.pass(self, "train", augmented(self, x, read.augment), y, w, math.max(n, 1), 0, n,
                nil, batch > 1)
            batches.run(pass)
        end
        list:call("on_batch_end", batch, core.values(self))
        if self.stop_training then
            break
        end
    end
    return core.values(self)
end

-- Is validation due after this epoch? validation_freq: every so many epochs, or a list of epochs. Epochs done before
-- this fit count too, as in Keras: training that goes on validates where it would have without a break.
local function due(freq, epoch)
    if type(freq) ~= "table" then
        return epoch % freq == 0
    end
    for _, listed in ipairs(freq) do
        if listed == epoch then
            return true
        end
    end
    return false
end

-- Epochs until the end, a request to stop, or an error; on_train_end comes in each case.
local function run_epochs(self, run)
    local read, list = run.read, run.list
    -- initial_epoch as the callbacks left it: one may know of epochs that are done (BackupAndRestore). The loop counts
    -- from 1, as initial_epoch + 1 may be beyond the largest integer.
    for ahead = 1, read.epochs - run.params.initial_epoch do
        local epoch = run.params.initial_epoch + ahead
        local logs = {}
        list:call("on_epoch_begin", epoch, logs)
        local values = run.generator and train_generator(self, run.generator, read, list, logs)
            or train_epoch(self, run.plan, read, list, logs)
        for name, value in pairs(values) do
            logs[name] = value
        end
        if run.validation and due(read.validation_freq, epoch) then
            for name, value in pairs(validate(self, run.validation, list)) do
                logs["val_" .. name] = value
            end
        end
        list:call("on_epoch_end", epoch, logs)
        if self.stop_training then
            break
        end
    end
end

-- ---- fit ------------------------------------------------------------------------------------------------------------

local function make_params(self, run)
    local read, plan = run.read, run.plan
    local steps = read.steps_per_epoch
    if plan then
        local all = (plan.count + read.batch_size - 1) // read.batch_size
        steps = math.min(all, steps or all)
    end
    return {
        epochs = read.epochs, steps = steps, samples = plan and plan.count or nil, verbose = read.verbose,
        metrics = self.built and batches.measure_names(self) or nil, initial_epoch = read.initial_epoch,
        validation_steps = run.validation and run.validation.steps,
    }
end

local function is_interrupt(err)
    return type(err) == "string" and err:find("interrupted", 1, true) ~= nil
end

--- Trains the model. x and y are tensors (lists, tables by name), or x is a generator: a function that returns x, y and
-- perhaps weights of a batch at each call, and nil at the end of an epoch.
---@param x any
---@param y? any
---@param args? table  options of fit
---@return moth.History history
function core.model_methods:fit(x, y, args)
    local callback, callbacks = require "moth.callback", require "moth.callbacks"
    local generator = type(x) == "function" and x or nil
    if generator and args == nil and type(y) == "table" and getmetatable(y) == nil then
        y, args = nil, y
    end
    local read = options.read(fit_spec, args)
    local run = { read = read, generator = generator }
    if generator then
        refuse_with_generator(read, y)
    else
        run.plan = training_plan(self, x, y, read)
    end
    run.validation = validation_source(self, run.plan, read)
    if run.plan and run.plan.count == 0 then
        options.fail("fit: there are no samples")
    end
    local params = make_params(self, run)
    run.params = params
    run.list = callback.list(read.callbacks, {
        model = self, params = params, history = callbacks.History(),
        bar = read.verbose ~= 0 and callbacks.ProgressBar {} or nil,
    })
    local left_to_callback = run.list.takes_nonfinite and (args == nil or args.nan == nil)
    core.ignore_nonfinite(self, read.nan == "continue" or left_to_callback)
    self.stop_training = false
    self.history = run.list.history
    run.list:call("on_train_begin", {})
    local good, err = pcall(run_epochs, self, run)
    params.interrupted = not good and is_interrupt(err) or nil
    params.failed = not good and not params.interrupted or nil
    if good or params.interrupted then
        run.list:call("on_train_end", {})
    else
        pcall(run.list.call, run.list, "on_train_end", {})
        error(err, 0)
    end
    if params.interrupted then
        core.note_interrupt()
    end
    return run.list.history
end

return fit
