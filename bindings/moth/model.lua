--- Models: Sequential and Model, and what people do with them. The methods here join those that the engine gives.

local core = require "moth.core"
local batches = require "moth.batches"
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
    for key in next, args do
        if math.type(key) ~= "integer" and key ~= "name" then
            options.fail("Sequential: " .. options.unknown("unknown option", key, { "name" }))
        end
    end
    local made = core.sequential(args.name)
    for i = 1, #args do
        if not (core.is_layer(args[i]) or core.is_symbol(args[i]) or core.is_model(args[i])) then
            options.fail(("Sequential: entry %d must be a layer; got %s"):format(i, options.show(args[i])))
        end
        made:add(args[i])
    end
    return made
end

local function check_symbol(value, what)
    if not core.is_symbol(value) then
        options.fail(("Model: %s must be what moth.Input or a layer called on one gives; got %s"):format(what,
            options.show(value)))
    end
end

-- One value or a list; a table with names becomes a list in sorted order of names.
local function ends(value, what)
    if type(value) ~= "table" then
        check_symbol(value, what)
        return { value }
    end
    local names = {}
    for key in next, value do
        if type(key) == "string" then
            names[#names + 1] = key
        end
    end
    if #names == 0 then
        for i, entry in ipairs(value) do
            check_symbol(entry, ("%s[%d]"):format(what, i))
        end
        return value
    elseif #value > 0 then
        options.fail(("Model: %s are either a list or a table of names"):format(what))
    end
    table.sort(names)
    local list = {}
    for i, name in ipairs(names) do
        check_symbol(value[name], ("%s[%s]"):format(what, options.show(name)))
        list[i] = value[name]
    end
    return list, names
end

--- A model between symbolic inputs and outputs: any directed acyclic graph of layers.
---@param args { inputs: any, outputs: any, name?: string }
---@return moth.Model
function model.Model(args)
    local read = options.read({
        name = "Model", positionals = 2,
        { "inputs", "any", required = true },
        { "outputs", "any", required = true },
        { "name", "string" },
    }, args)
    local inputs, input_names = ends(read.inputs, "inputs")
    local outputs, names = ends(read.outputs, "outputs")
    return core.functional(read.name, inputs, outputs, names, input_names)
end

-- ---- compile --------------------------------------------------------------------------------------------------------

local compile_spec = {
    name = "compile", positionals = 4,
    { "optimizer", "any", default = "RMSprop" },
    { "loss", "any" },
    { "loss_weights", "any" },
    { "metrics", "any" },
    { "input_scale", "number", above = 0 },
}

-- A metric that logs show under a name of its own.
local function named_metric(name, metric)
    if type(metric) == "function" then
        return { class = "function", ["function"] = metric, log_name = name }
    elseif type(metric) == "string" then
        return { class = metric, log_name = name }
    elseif type(metric) == "table" and metric.class then
        local copy = {}
        for key, value in pairs(metric) do
            copy[key] = value
        end
        copy.log_name = name
        return copy
    end
    options.fail(("compile: metrics: %s must be a name, a metric or a function; got %s"):format(options.show(name),
        options.show(metric)))
end

-- Metrics of one output: one, or a list in which some have a name of their own (`{ "accuracy", far = function … }`).
local function metric_list(value)
    if type(value) ~= "table" or value.class or getmetatable(value) ~= nil then
        return value
    end
    local list, names = table.move(value, 1, #value, 1, {}), {}
    for key in next, value do
        if type(key) == "string" then
            names[#names + 1] = key
        end
    end
    table.sort(names)
    for _, name in ipairs(names) do
        list[#list + 1] = named_metric(name, value[name])
    end
    return list
end

-- The metrics as the engine takes them: for all outputs, or by output.
local function metrics_of(self, value)
    if type(value) ~= "table" or value.class or getmetatable(value) ~= nil then
        return value
    end
    local by_output = #self.output_names > 1
    for _, name in ipairs(self.output_names) do
        by_output = by_output or value[name] ~= nil
    end
    if not by_output then
        return metric_list(value)
    end
    local result = {}
    for key, entry in next, value do
        result[key] = metric_list(entry)
    end
    return result
end

-- For each optimizer the sign of the model that compiled it first, which outlives the model: what happens must not
-- depend on when garbage is collected.
local first_user, signs = setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" })

-- An optimizer counts the steps of one model. Another model that is given the same one trains with its like.
local function own_optimizer(self, optimizer)
    if not core.is_optimizer(optimizer) then
        return core.optimizer(optimizer)
    end
    signs[self] = signs[self] or {}
    first_user[optimizer] = first_user[optimizer] or signs[self]
    if first_user[optimizer] == signs[self] then
        return optimizer
    end
    local like = core.optimizer(optimizer.config)
    if math.type(like.config.learning_rate) then
        like.learning_rate = optimizer.learning_rate
    end
    return like
end

--- Says how the model is trained. Weights stay as they are; slots of the optimizer start anew. An optimizer that
-- another model was compiled with stays that model's: this one gets one with the same options (`model.optimizer`).
---@param args { optimizer?: any, loss: any, metrics?: any, loss_weights?: any, input_scale?: number }
---@return moth.Model self
function methods:compile(args)
    local read = options.made(options.read(compile_spec, args), 3)
    if read.loss == nil then
        options.fail("compile: loss is missing")
    end
    local optimizer = own_optimizer(self, read.optimizer)
    self.compiled_with = { optimizer, read }
    core.compile(self, optimizer, {
        loss = read.loss, loss_weights = read.loss_weights, metrics = metrics_of(self, read.metrics),
        input_scale = read.input_scale,
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

-- ---- evaluate, predict ----------------------------------------------------------------------------------------------

local evaluate_spec = {
    name = "evaluate", positionals = 0,
    { "batch_size", "integer", default = 32, min = 1, max = batches.MAX_SIZE },
    { "verbose", { 0, 1, 2 }, default = 0 },
    { "sample_weight", "any" },
    { "steps", "integer", min = 1 },
}

-- Tensors as a source; y may be nil where only x counts.
local function source_of(self, x, y, read, who)
    if type(x) == "function" then
        batches.no_targets(who, y)
        if read.sample_weight then
            options.fail(who .. ": a generator gives weights as its third value, not by sample_weight")
        end
        return { who = who, generator = x, steps = read.steps }
    end
    local xs = batches.inputs(self, x, "x")
    batches.make_ready(self, xs)
    local ys = batches.targets(self, y, "y")
    local count = batches.samples(xs)
    count = batches.limited(count, read.steps, read.batch_size)
    if count == 0 then
        options.fail(who .. ": there are no samples")
    end
    return {
        who = who, x = xs, y = ys, weight = batches.sample_weights(self, ys, read, who), batch_size = read.batch_size,
        first = 0, count = count, steps = (count + read.batch_size - 1) // read.batch_size,
    }
end

--- Loss and metrics over data, or over what a generator gives: `{ loss = …, accuracy = … }`.
---@param x any
---@param y? any
---@param args? { batch_size?: integer, verbose?: integer, sample_weight?: any, steps?: integer }
---@return table<string, number>
function methods:evaluate(x, y, args)
    if type(x) == "function" and args == nil and type(y) == "table" then
        y, args = nil, y
    end
    local read = options.read(evaluate_spec, args)
    local source = source_of(self, x, y, read, "evaluate")
    local bar, step = nil, 0
    if read.verbose > 0 then
        bar = require("moth.progress").start { total = source.steps, samples = source.count, verbose = read.verbose }
    end
    local values = batches.evaluate(self, source, bar and function()
        step = step + 1
        bar:update(step, {})
    end)
    if bar then
        bar:finish(require("moth.progress").pairs(values, batches.measure_names(self)))
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
    { "batch_size", "integer", default = 32, min = 1, max = batches.MAX_SIZE },
    { "verbose", { 0, 1, 2 }, default = 0 },
    { "steps", "integer", min = 1 },
}

local function predict_tensors(self, xs, batch_size, count)
    batches.make_ready(self, xs)
    local pass <close> = core.pass(self, "predict", xs, nil, nil, batch_size, 0, count)
    batches.run(pass)
    return pass:results()
end

-- All that a generator gives, one behind the other.
local function predict_generated(self, generator, steps)
    local parts, joined = {}, {}
    for _, xs in batches.generated(self, generator, "predict", steps, false) do
        local n = batches.samples(xs)
        for k, result in ipairs(predict_tensors(self, xs, math.max(n, 1), n)) do
            parts[k] = parts[k] or {}
            table.insert(parts[k], result)
        end
    end
    for k, list in ipairs(parts) do
        joined[k] = core.cat(list, 1)
    end
    return joined
end

local function predict(self, x, args)
    local read = options.read(predict_spec, args)
    if type(x) == "function" then
        return predict_generated(self, x, read.steps)
    end
    local xs = batches.inputs(self, x, "x")
    local count = batches.samples(xs)
    return predict_tensors(self, xs, read.batch_size,
        batches.limited(count, read.steps, read.batch_size))
end

--- The model's outputs for x, or for what a generator gives: a tensor, or a table by output name where there are
-- several.
---@param x any
---@param args? { batch_size?: integer, steps?: integer, verbose?: integer }
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

--- The outputs for one batch.
---@param x any
---@return moth.Tensor|table<string, moth.Tensor>
function methods:predict_on_batch(x)
    return self:predict(x, { batch_size = math.max(1, batches.samples(batches.inputs(self, x, "x"))) })
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

local batch_specs = {
    train = { name = "train_on_batch", positionals = 0, { "sample_weight", "any" }, { "class_weight", "table" } },
    evaluate = { name = "test_on_batch", positionals = 0, { "sample_weight", "any" } },
}

local function on_batch(self, mode, x, y, args)
    local spec = batch_specs[mode]
    local read = options.read(spec, args)
    local xs = batches.inputs(self, x, "x")
    batches.make_ready(self, xs)
    local ys = batches.targets(self, y, "y")
    local n = batches.samples(xs)
    if n == 0 then
        options.fail(spec.name .. ": there are no samples")
    end
    local weight = batches.sample_weights(self, ys, read, spec.name)
    local pass <close> = core.pass(self, mode, xs, ys, weight, n, 0, n)
    batches.run(pass)
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
require "moth.weights"
require "moth.fit"
require "moth.summary"
require "moth.checkpoint"
require "moth.image"
model.catalog = catalog
return model
