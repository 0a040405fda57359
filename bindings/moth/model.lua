--- Models: Sequential and Model, and what people do with them. The methods here join those that the engine gives.

local core = require "moth.core"
local options = require "moth.options"
local catalog = require "moth.catalog"

local model = {}
local methods = core.model_methods

-- ---- making ---------------------------------------------------------------------------------------------------------

--- A stack of layers: `moth.Sequential { layers.Dense { 10, input_shape = { 784 } }, … }`, or empty and grown by add.
---@param args? table  layers in order; option name
---@return moth.Model
function model.Sequential(args)
    args = args or {}
    if type(args) ~= "table" or getmetatable(args) then
        options.fail("Sequential: expected a table of layers; got " .. options.show(args))
    end
    for key in pairs(args) do
        if math.type(key) ~= "integer" and key ~= "name" then
            options.fail("Sequential: " .. options.unknown("unknown option", key, { "name" }))
        end
    end
    local made = core.sequential(args.name)
    for i = 1, #args do
        if not core.is_layer(args[i]) then
            options.fail(("Sequential: entry %d must be a layer; got %s"):format(i, options.show(args[i])))
        end
        made:add(args[i])
    end
    return made
end

-- One value or a list; a table with names becomes a list in sorted order of names.
local function ends(value, what)
    if type(value) ~= "table" then
        return { value }
    end
    local names = {}
    for key in pairs(value) do
        if type(key) == "string" then
            names[#names + 1] = key
        end
    end
    if #names == 0 then
        return value
    elseif #value > 0 then
        options.fail(("Model: %s are either a list or a table of names"):format(what))
    end
    table.sort(names)
    local list = {}
    for i, name in ipairs(names) do
        list[i] = value[name]
    end
    return list, names
end

--- A model between symbolic inputs and outputs: any directed acyclic graph of layers.
---@param args { inputs: any, outputs: any, name?: string }
---@return moth.Model
function model.Model(args)
    local read = options.read({
        name = "Model", positionals = 0,
        { "inputs", "any", required = true },
        { "outputs", "any", required = true },
        { "name", "string" },
    }, args)
    local inputs = ends(read.inputs, "inputs")
    local outputs, names = ends(read.outputs, "outputs")
    return core.functional(read.name, inputs, outputs, names)
end

-- ---- data -----------------------------------------------------------------------------------------------------------

-- x or y as a list of tensors in the order of the model's inputs or outputs.
local function as_list(self, value, what, names)
    if core.is_tensor(value) then
        return { value }
    elseif type(value) ~= "table" then
        options.fail(("%s must be a tensor, a list or a table of tensors; got %s"):format(what, options.show(value)))
    end
    local list = value
    if names and #value == 0 then
        list = {}
        for key in pairs(value) do
            local known = false
            for _, name in ipairs(names) do
                known = known or name == key
            end
            if not known then
                options.fail(("%s: %s"):format(what, options.unknown("the model has no output", key, names)))
            end
        end
        for i, name in ipairs(names) do
            list[i] = value[name]
        end
        if #list ~= #names then
            options.fail(("%s: one tensor for each output is needed: %s"):format(what, table.concat(names, ", ")))
        end
    end
    for i, entry in ipairs(list) do
        if not core.is_tensor(entry) then
            options.fail(("%s[%d] must be a tensor; got %s"):format(what, i, options.show(entry)))
        end
    end
    if #list == 0 then
        options.fail(what .. ": no tensor given")
    end
    return list, self
end

local function samples(list)
    return #list[1].shape > 0 and list[1].shape[1] or 0
end

-- ---- compile --------------------------------------------------------------------------------------------------------

local compile_spec = {
    name = "compile", positionals = 0,
    { "optimizer", "any", default = "RMSprop" },
    { "loss", "any" },
    { "loss_weights", "any" },
    { "metrics", "any" },
    { "input_scale", "number", above = 0 },
}

--- Says how the model is trained. Weights stay as they are; slots of the optimizer start anew.
---@param args { optimizer?: any, loss: any, metrics?: any, loss_weights?: any, input_scale?: number }
---@return moth.Model self
function methods:compile(args)
    local read = options.read(compile_spec, args)
    if read.loss == nil then
        options.fail("compile: loss is missing")
    end
    local optimizer = read.optimizer
    if not core.is_optimizer(optimizer) then
        optimizer = core.optimizer(optimizer)
    end
    self.compiled_with = { optimizer, read }
    core.compile(self, optimizer, {
        loss = read.loss, loss_weights = read.loss_weights, metrics = read.metrics, input_scale = read.input_scale,
    })
    self.optimizer = optimizer
    self.history, self.stop_training = nil, false
    return self
end

-- A Sequential without input_shape can be compiled only when the first data are seen.
local compile_now = methods.compile
function methods:compile(args)
    if self.built then
        self.pending_compile = nil
        return compile_now(self, args)
    end
    options.read(compile_spec, args)
    self.pending_compile = args
    return self
end

local function make_ready(self, x)
    if not self.built then
        local shape = {}
        for d = 2, #x[1].shape do
            shape[d - 1] = x[1].shape[d]
        end
        self:build(shape)
    end
    if self.pending_compile then
        local args = self.pending_compile
        self.pending_compile = nil
        compile_now(self, args)
    end
end

-- ---- passes ---------------------------------------------------------------------------------------------------------

-- Weights of samples may be a tensor or a plain list.
local function weight_tensor(weight)
    if type(weight) == "table" then
        return core.tensor(weight, { dtype = "float32" })
    elseif weight ~= nil and not core.is_tensor(weight) then
        options.fail("sample_weight must be a tensor or a list; got " .. options.show(weight))
    end
    return weight and weight.dtype ~= "float32" and weight:to("float32") or weight
end

local function sample_weights(self, y, read)
    if read.class_weight and read.sample_weight then
        options.fail("fit: class_weight and sample_weight exclude each other")
    elseif read.sample_weight then
        return weight_tensor(read.sample_weight)
    elseif read.class_weight then
        if #self.output_names > 1 then
            options.fail("fit: class_weight needs a model with one output")
        end
        local named = {}
        for class, weight in pairs(read.class_weight) do
            if math.type(class) ~= "integer" or not math.type(weight) then
                options.fail("fit: class_weight must be a table { [class] = weight }")
            end
            named[tostring(class)] = weight
        end
        return core.class_weights(y[1], named)
    end
end

-- Runs all batches of a pass; `each` (optional) is called after each batch.
local function run_pass(pass, each)
    local left
    repeat
        left = pass:run(each and 1 or 1000000)
        if each then
            each()
        end
    until left == 0
end

local function evaluate_pass(self, x, y, weight, batch_size, first, count, each)
    local pass <close> = core.pass(self, "evaluate", x, y, weight, batch_size, first, count)
    run_pass(pass, each)
    return core.values(self)
end

-- The mean over batches that a generator gives: each batch is a pass of its own, weighted by its samples.
local function generator_mean()
    local sums, total = {}, 0
    return function(values, n)
        total = total + n
        for name, value in pairs(values) do
            if math.type(value) then
                sums[name] = (sums[name] or 0) + value * n
            end
        end
    end, function()
        local means = {}
        for name, sum in pairs(sums) do
            means[name] = total > 0 and sum / total or 0 / 0
        end
        return means
    end
end

-- ---- fit ------------------------------------------------------------------------------------------------------------

local function callable(value)
    local meta = debug.getmetatable(value)
    return (type(value) == "function" or type(meta) == "table" and meta.__call) and value or nil, "a function"
end

local fit_spec = {
    name = "fit", positionals = 0,
    { "batch_size", "integer", default = 32, min = 1 },
    { "epochs", "integer", default = 1, min = 0 },
    { "validation_split", "number", default = 0, min = 0, below = 1 },
    { "validation_data", "table" },
    { "validation_batch_size", "integer", min = 1 },
    { "validation_freq", "integer", default = 1, min = 1 },
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

-- Which samples train, which validate, and from where.
local function split(self, x, y, read)
    local n = samples(x)
    local plan = { x = x, y = y, first = 0, count = n }
    if read.validation_data then
        local vx = as_list(self, read.validation_data[1], "validation_data[1]")
        local vy = as_list(self, read.validation_data[2], "validation_data[2]", self.output_names)
        plan.val_x, plan.val_y, plan.val_first, plan.val_count = vx, vy, 0, samples(vx)
        plan.val_weight = weight_tensor(read.validation_data[3])
    elseif read.validation_split > 0 then
        local at = math.floor(n * (1 - read.validation_split))
        if at == 0 or at == n then
            options.fail(("fit: validation_split %g leaves %d of %d samples for training and %d for validation"):format(
                read.validation_split, at, n, n - at))
        end
        plan.count = at
        plan.val_x, plan.val_y, plan.val_first, plan.val_count = x, y, at, n - at
    end
    if plan.count == 0 then
        options.fail("fit: there are no samples")
    end
    return plan
end

local function validate(self, plan, read, list)
    local batch = read.validation_batch_size or read.batch_size
    local count = plan.val_count
    if read.validation_steps then
        count = math.min(count, read.validation_steps * batch)
    end
    list:call("on_test_begin", {})
    local step, each = 0, nil
    if list:wants("on_test_batch_end") then
        each = function()
            step = step + 1
            list:call("on_test_batch_end", step, {})
        end
    end
    local values = evaluate_pass(self, plan.val_x, plan.val_y, plan.val_weight, batch, plan.val_first, count, each)
    list:call("on_test_end", values)
    return values
end

-- One epoch over tensors. Batches run in C; between them only what callbacks ask for.
local function train_epoch(self, plan, read, list, logs)
    local order = read.shuffle and core.shuffle(self, plan.count) or nil
    local count = plan.count
    if read.steps_per_epoch then
        count = math.min(count, read.steps_per_epoch * read.batch_size)
        order = order and order:slice(1, 1, count)
    end
    local x = plan.x
    if read.augment then
        x = { read.augment(plan.x[1], self.seed, self.step) }
    end
    local pass <close> = core.pass(self, "train", x, plan.y, plan.weight, read.batch_size, plan.first, count, order)
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
    local add, means = generator_mean()
    local batch = 0
    while not self.stop_training and batch ~= read.steps_per_epoch do
        local x, y, w = generator()
        if x == nil then
            break
        end
        batch = batch + 1
        x, y = as_list(self, x, "x"), as_list(self, y, "y", self.output_names)
        make_ready(self, x)
        list:call("on_batch_begin", batch, logs)
        local n = samples(x)
        local pass <close> = core.pass(self, "train", x, y, w, n, 0, n)
        run_pass(pass)
        add(core.values(self), n)
        list:call("on_batch_end", batch, means())
    end
    if batch == 0 then
        options.fail("fit: the generator gave no batch")
    end
    return means()
end

local function metric_names(self)
    local names = {}
    for _, measure in ipairs(core.measures(self)) do
        names[#names + 1] = measure.name
    end
    return names
end

local function make_params(self, plan, read)
    local steps = plan and (plan.count + read.batch_size - 1) // read.batch_size or read.steps_per_epoch
    return {
        epochs = read.epochs, steps = steps and math.min(steps, read.steps_per_epoch or steps),
        samples = plan and plan.count, verbose = read.verbose, metrics = metric_names(self),
        initial_epoch = read.initial_epoch,
        validation_steps = plan and plan.val_count and (plan.val_count + read.batch_size - 1) // read.batch_size,
    }
end

-- Epochs until the end, a request to stop, or an error; on_train_end comes in each case.
local function run_epochs(self, plan, generator, read, list, params)
    -- A callback may know of epochs that are done (BackupAndRestore).
    for epoch = params.initial_epoch + 1, read.epochs do
        local logs = {}
        list:call("on_epoch_begin", epoch, logs)
        local values = generator and train_generator(self, generator, read, list, logs)
            or train_epoch(self, plan, read, list, logs)
        for name, value in pairs(values) do
            logs[name] = value
        end
        local due = plan and plan.val_x and (epoch - read.initial_epoch) % read.validation_freq == 0
        if due then
            for name, value in pairs(validate(self, plan, read, list)) do
                logs["val_" .. name] = value
            end
        end
        list:call("on_epoch_end", epoch, logs)
        if self.stop_training then
            break
        end
    end
end

local function is_interrupt(err)
    return type(err) == "string" and err:find("interrupted", 1, true) ~= nil
end

--- Trains the model. x and y are tensors (lists, tables by output name), or x is a generator.
---@param x any
---@param y? any
---@param args? table  options of fit
---@return moth.Callback history
function methods:fit(x, y, args)
    local callback, callbacks = require "moth.callback", require "moth.callbacks"
    local generator = type(x) == "function" and x or nil
    if generator and args == nil and type(y) == "table" then
        y, args = nil, y
    end
    local read = options.read(fit_spec, args)
    local plan
    if not generator then
        local xs = as_list(self, x, "x")
        make_ready(self, xs)
        plan = split(self, xs, as_list(self, y, "y", self.output_names), read)
        plan.weight = sample_weights(self, plan.y, read)
        if read.validation_split > 0 and not read.validation_data and read.sample_weight then
            plan.val_weight = plan.weight -- class weights count in training only, as in Keras
        end
    elseif read.validation_data then
        local vx = as_list(self, read.validation_data[1], "validation_data[1]")
        make_ready(self, vx)
        plan = split(self, vx, as_list(self, read.validation_data[2], "validation_data[2]", self.output_names), read)
    end
    if plan and plan.val_x then -- what does not fit is told before the first epoch, not after it
        core.pass(self, "evaluate", plan.val_x, plan.val_y, plan.val_weight, 1, plan.val_first, plan.val_count):close()
    end
    core.ignore_nonfinite(self, read.nan == "continue")
    local params = make_params(self, not generator and plan, read)
    local list = callback.list(read.callbacks, {
        model = self, params = params, history = callbacks.History(),
        bar = read.verbose ~= 0 and callbacks.ProgressBar {} or nil,
    })
    self.stop_training = false
    self.history = list.history
    list:call("on_train_begin", {})
    local good, err = xpcall(run_epochs, function(message)
        return message
    end, self, plan, generator, read, list, params)
    params.interrupted = not good and is_interrupt(err) or nil
    params.failed = not good and not params.interrupted or nil
    if good or params.interrupted then
        list:call("on_train_end", {})
    else
        pcall(list.call, list, "on_train_end", {})
        error(err, 0)
    end
    if params.interrupted then
        core.note_interrupt()
    end
    return list.history
end

-- ---- evaluate, predict ----------------------------------------------------------------------------------------------

local evaluate_spec = {
    name = "evaluate", positionals = 0,
    { "batch_size", "integer", default = 32, min = 1 },
    { "verbose", { 0, 1, 2 }, default = 0 },
    { "sample_weight", "any" },
    { "steps", "integer", min = 1 },
}

--- Loss and metrics over data: `{ loss = …, accuracy = … }`.
---@param x any
---@param y any
---@param args? { batch_size?: integer, verbose?: integer, sample_weight?: any, steps?: integer }
---@return table<string, number>
function methods:evaluate(x, y, args)
    local read = options.read(evaluate_spec, args)
    local xs = as_list(self, x, "x")
    make_ready(self, xs)
    local ys = as_list(self, y, "y", self.output_names)
    local count = samples(xs)
    if read.steps then
        count = math.min(count, read.steps * read.batch_size)
    end
    if count == 0 then
        options.fail("evaluate: there are no samples")
    end
    local bar
    if read.verbose > 0 then
        bar = require("moth.progress").start {
            total = (count + read.batch_size - 1) // read.batch_size, samples = count, verbose = read.verbose,
        }
    end
    local step = 0
    local values = evaluate_pass(self, xs, ys, sample_weights(self, ys, read), read.batch_size, 0, count,
        bar and function()
            step = step + 1
            bar:update(step, {})
        end)
    if bar then
        bar:finish(require("moth.progress").pairs(values, metric_names(self)))
    end
    local matrix = require "moth.matrix"
    for name, value in pairs(values) do
        if type(value) == "table" then
            values[name] = matrix.new(value)
        end
    end
    return values
end

local predict_spec = {
    name = "predict", positionals = 0,
    { "batch_size", "integer", default = 32, min = 1 },
    { "verbose", { 0, 1, 2 }, default = 0 },
}

local function predict(self, x, args)
    local read = options.read(predict_spec, args)
    local xs = as_list(self, x, "x")
    make_ready(self, xs)
    local pass <close> = core.pass(self, "predict", xs, nil, nil, read.batch_size, 0, samples(xs))
    run_pass(pass)
    return pass:results()
end

--- The model's outputs for x: a tensor, or a table by output name where there are several.
---@param x any
---@param args? { batch_size?: integer }
---@return moth.Tensor|table<string, moth.Tensor>
function methods:predict(x, args)
    local results = predict(self, x, args)
    if #self.output_names == 1 then
        return results[1] or core.zeros(0, table.unpack(self.output_shapes[1]))
    end
    local named = {}
    for i, name in ipairs(self.output_names) do
        named[name] = results[i]
    end
    return named
end

local function single_output(self, what, x, args)
    if self.built and #self.output_names ~= 1 then
        options.fail(what .. ": the model has several outputs; use predict")
    end
    return self:predict(x, args)
end

--- Class ids (from 0) of the most probable classes; for one output, whether it is above 0.5.
---@return moth.Tensor
function methods:predict_classes(x, args)
    local p = single_output(self, "predict_classes", x, args)
    local rank = #p.shape
    if p.shape[rank] > 1 then
        return p:argmax(rank) - 1
    end
    return p:gt(0.5):to("int32"):reshape(p.shape[1])
end

--- The outputs as probabilities: what predict gives.
---@return moth.Tensor
function methods:predict_proba(x, args)
    return single_output(self, "predict_proba", x, args)
end
methods.predict_probs = methods.predict_proba

-- ---- single batches -------------------------------------------------------------------------------------------------

local batch_spec = { name = "train_on_batch", positionals = 0, { "sample_weight", "any" }, { "class_weight", "table" } }

local function on_batch(self, mode, x, y, args)
    local read = options.read(batch_spec, args)
    local xs = as_list(self, x, "x")
    make_ready(self, xs)
    local ys = as_list(self, y, "y", self.output_names)
    local n = samples(xs)
    if n == 0 then
        options.fail((mode == "train" and "train_on_batch" or "test_on_batch") .. ": there are no samples")
    end
    local pass <close> = core.pass(self, mode, xs, ys, sample_weights(self, ys, read), n, 0, n)
    run_pass(pass)
    return core.values(self)
end

--- One training step on these samples; returns loss and metrics before the update.
---@return table<string, number>
function methods:train_on_batch(x, y, args)
    return on_batch(self, "train", x, y, args)
end

--- Loss and metrics of these samples.
---@return table<string, number>
function methods:test_on_batch(x, y, args)
    return on_batch(self, "evaluate", x, y, args)
end

-- ---- weights --------------------------------------------------------------------------------------------------------

--- The trainable tensors themselves, for custom loops.
---@return moth.Tensor[]
function methods:parameters()
    local list = {}
    for _, variable in ipairs(self:variables()) do
        if variable.trainable then
            list[#list + 1] = variable.tensor
        end
    end
    return list
end

--- Copies of all weights, layer by layer.
---@return moth.Tensor[]
function methods:get_weights()
    local list = {}
    for i, variable in ipairs(self:variables()) do
        list[i] = variable.tensor:detach():clone()
    end
    return list
end

local function set_variables(what, variables, list)
    if type(list) ~= "table" or #list ~= #variables then
        options.fail(("%s: expected a list of %d tensors; got %s"):format(what, #variables,
            type(list) == "table" and #list or options.show(list)))
    end
    local values = {}
    for i, variable in ipairs(variables) do
        local value = list[i]
        if type(value) == "table" then
            value = core.tensor(value)
        elseif not core.is_tensor(value) then
            options.fail(("%s: entry %d must be a tensor; got %s"):format(what, i, options.show(value)))
        end
        local want, got = table.concat(variable.tensor.shape, ", "), table.concat(value.shape, ", ")
        if want ~= got then
            options.fail(("%s: %s has shape (%s); entry %d has (%s)"):format(what, variable.path, want, i, got))
        end
        values[i] = value:detach():clone() -- it may be one of the variables itself
    end
    for i, variable in ipairs(variables) do
        variable.tensor:detach():copy_(values[i])
    end
end

--- Sets all weights from a list as get_weights gives it; nothing changes when one does not fit.
---@param list moth.Tensor[]
function methods:set_weights(list)
    set_variables("set_weights", self:variables(), list)
    return self
end

--- Its weights as a list of tensors.
---@return moth.Tensor[]
function core.layer_methods:get_weights()
    local list = {}
    for i, tensor in ipairs(self.weights) do
        list[i] = tensor:detach():clone()
    end
    return list
end

--- Sets its weights from a list as get_weights gives it.
---@param list moth.Tensor[]
function core.layer_methods:set_weights(list)
    local variables = {}
    for i, tensor in ipairs(self.weights) do
        variables[i] = { tensor = tensor, path = ("weight %d"):format(i) }
    end
    set_variables("set_weights", variables, list)
end

--- The layer of that name, or at that place (from 1).
---@param key string|integer
---@return moth.Layer
function methods:get_layer(key)
    local names = {}
    for i, layer in ipairs(self.layers) do
        if layer.name == key or i == key then
            return layer
        end
        names[i] = layer.name
    end
    options.fail("get_layer: " .. options.unknown("the model has no layer", key, names))
end

--- Number of weights: all, and those that are trained.
---@return integer total
---@return integer trainable
function methods:count_params()
    local total, trainable = 0, 0
    for _, layer in ipairs(self.layers) do
        for _, variable in ipairs(layer.weights) do
            local n = 1
            for _, size in ipairs(variable.shape) do
                n = n * size
            end
            total = total + n
        end
    end
    for _, row in ipairs(self:rows()) do
        trainable = trainable + (row.use == 0 and row.trainable or 0)
    end
    return total, trainable
end

-- More methods of models.
require "moth.summary"
require "moth.checkpoint"
require "moth.image"
model.catalog = catalog
return model
