--- What models take as data: one tensor, a list, a table by name, or a generator that gives a batch at each call.

local core = require "moth.core"
local options = require "moth.options"

local batches = {}

-- A table by name as a list in the order of `names`.
local function by_name(value, what, noun, names)
    local list, known = {}, {}
    for i, name in ipairs(names) do
        known[i] = name or "(no name)"
        list[i] = name and value[name] or nil
    end
    for key in next, value do
        local found = false
        for _, name in ipairs(names) do
            found = found or name == key
        end
        if not found then
            options.fail(("%s: %s"):format(what, options.unknown("the model has no " .. noun, key, known)))
        end
    end
    for i, name in ipairs(known) do
        if list[i] == nil then
            options.fail(("%s: one tensor for each %s is needed: %s; there is none for %s"):format(what, noun,
                table.concat(known, ", "), options.show(name)))
        end
    end
    return list
end

local function as_list(value, what, noun, names)
    if core.is_tensor(value) then
        return { value }
    elseif type(value) ~= "table" then
        options.fail(("%s must be a tensor, a list or a table of tensors; got %s"):format(what, options.show(value)))
    end
    local list = value
    if #value == 0 and next(value) ~= nil and #names > 0 then
        list = by_name(value, what, noun, names)
    end
    for i, entry in ipairs(list) do
        if not core.is_tensor(entry) then
            options.fail(("%s[%d] must be a tensor; got %s (moth.tensor makes one of nested lists)"):format(what, i,
                options.show(entry)))
        end
    end
    if #list == 0 then
        options.fail(what .. ": no tensor given")
    end
    return list
end

--- x as a list of tensors in the order of the model's inputs.
---@param model moth.Model
---@param value any
---@param what string  for messages
---@return moth.Tensor[]
function batches.inputs(model, value, what)
    return as_list(value, what, "input", model.input_names)
end

--- y as a list of tensors in the order of the model's outputs.
---@param model moth.Model
---@param value any
---@param what string  for messages
---@return moth.Tensor[]
function batches.targets(model, value, what)
    return as_list(value, what, "output", model.output_names)
end

--- Number of samples.
---@param list moth.Tensor[]
---@return integer
function batches.samples(list)
    return #list[1].shape > 0 and list[1].shape[1] or 0
end

local function one_weight(value, what)
    if type(value) == "table" and getmetatable(value) == nil then
        value = core.tensor(value, { dtype = "float32" })
    elseif not core.is_tensor(value) then
        options.fail(("%s must be a tensor or a list of numbers; got %s"):format(what, options.show(value)))
    end
    local shape = value.shape
    if #shape == 2 and shape[2] == 1 then -- a column
        value = value:reshape(shape[1])
    elseif #shape ~= 1 then
        options.fail(("%s: expected one number for each sample, (samples); got a tensor of shape (%s)"):format(what,
            table.concat(shape, ", ")))
    end
    return value.dtype ~= "float32" and value:to("float32") or value
end

--- Weights of samples: a tensor or a list of numbers for all outputs, or one of these for each output, as a list or by
-- name; an output without one counts each sample once.
---@param model moth.Model
---@param value any
---@param what string  for messages
---@return moth.Tensor|(moth.Tensor|false)[]|nil
function batches.weights(model, value, what)
    local plain = type(value) == "table" and getmetatable(value) == nil
    if value == nil then
        return nil
    elseif not plain or math.type(value[1]) then
        return one_weight(value, what)
    end
    local names, list, known = model.output_names, {}, {}
    for i, name in ipairs(names) do
        local own = value[name] or value[i]
        list[i] = own and one_weight(own, ("%s for output %s"):format(what, options.show(name))) or false
        known[name], known[i] = true, true
    end
    for key in next, value do
        if not known[key] then
            options.fail(("%s: %s"):format(what, options.unknown("the model has no output", key, names)))
        end
    end
    return list
end

--- The weights that `sample_weight` or `class_weight` ask for.
---@param model moth.Model
---@param y moth.Tensor[]
---@param read { class_weight?: table, sample_weight?: any }
---@param who string  for messages
---@return moth.Tensor|(moth.Tensor|false)[]|nil
function batches.sample_weights(model, y, read, who)
    if read.class_weight and read.sample_weight then
        options.fail(who .. ": class_weight and sample_weight exclude each other")
    elseif not read.class_weight then
        return batches.weights(model, read.sample_weight, "sample_weight")
    elseif #model.output_names > 1 then
        options.fail(who .. ": class_weight needs a model with one output")
    end
    local named = {}
    for class, weight in next, read.class_weight do
        if math.type(class) ~= "integer" or not math.type(weight) then
            options.fail(who .. ": class_weight must be a table { [class] = weight }")
        end
        named[tostring(class)] = weight
    end
    return core.class_weights(y[1], named)
end

--- Builds what waits for the shape of the data.
---@param model moth.Model
---@param x moth.Tensor[]
function batches.make_ready(model, x)
    if not model.built then
        model:build { table.unpack(x[1].shape, 2) }
    end
    if model.pending_compile then
        local args = model.pending_compile
        model.pending_compile = nil
        model:compile(args)
    end
end

--- What a batch_size may be, as entries of an option (32-bit numbers count rows).
batches.MAX_SIZE = 2147483647

--- How many samples `steps` batches have, of `count` at most.
---@param count integer
---@param steps? integer  nil: all
---@param batch_size integer
---@return integer
function batches.limited(count, steps, batch_size)
    local all = (count + batch_size - 1) // batch_size
    return steps and steps < all and steps * batch_size or count
end

--- Targets come from the generator; what stands beside it would be passed over without a word.
---@param who string  the call, for messages
---@param y any
function batches.no_targets(who, y)
    if y ~= nil then
        options.fail(("%s: a generator gives y as its second value; got %s beside it"):format(who, options.show(y)))
    end
end

--- Goes through the batches that a generator gives until it gives nil: number, x, y, weights. Without targets (predict)
-- y and weights are nil.
---@param model moth.Model
---@param generator fun(): any, any, any
---@param who string  for messages
---@param limit? integer  batches at most
---@param targets? boolean  true
---@return fun(): integer?, moth.Tensor[], moth.Tensor[], any
function batches.generated(model, generator, who, limit, targets)
    local n = 0
    return function()
        local x, y, w
        if n ~= limit then
            x, y, w = generator()
        end
        if x == nil and n == 0 then
            options.fail(who .. ": the generator gave no batch")
        elseif x == nil then
            return nil
        end
        n = n + 1
        x = batches.inputs(model, x, "x")
        batches.make_ready(model, x)
        if targets == false then
            return n, x
        elseif batches.samples(x) == 0 then
            options.fail(("%s: batch %d of the generator has no samples"):format(who, n))
        end
        y = batches.targets(model, y, "y")
        return n, x, y, batches.weights(model, w, "weights")
    end
end

--- Runs all batches of an open pass; `each` (optional) is called after each of them.
---@param pass any
---@param each? fun()
function batches.run(pass, each)
    local left
    repeat
        left = pass:run(each and 1 or 1000000)
        if each then
            each()
        end
    until left == 0
end

--- What is measured: samples first + 1 to first + count of tensors, or what a generator gives.
---@class moth.Source
---@field who string  for messages
---@field generator? fun(): any, any, any
---@field steps? integer  batches at most, of the generator
---@field x? moth.Tensor[]
---@field y? moth.Tensor[]
---@field weight? any
---@field batch_size? integer
---@field first? integer
---@field count? integer

--- Loss and metrics over a source.
---@param model moth.Model
---@param source moth.Source
---@param each? fun()  called after each batch
---@return table<string, any>
function batches.evaluate(model, source, each)
    if not source.generator then
        local pass <close> = core.pass(model, "evaluate", source.x, source.y, source.weight, source.batch_size,
            source.first, source.count)
        batches.run(pass, each)
        return core.values(model)
    end
    for n, x, y, w in batches.generated(model, source.generator, source.who, source.steps) do
        local count = batches.samples(x)
        local pass <close> = core.pass(model, "evaluate", x, y, w, math.max(count, 1), 0, count, nil, n > 1)
        batches.run(pass, each)
    end
    return core.values(model)
end

--- Names of loss and metrics in the order of logs.
---@param model moth.Model
---@return string[]
function batches.measure_names(model)
    local names = {}
    for i, measure in ipairs(core.measures(model)) do
        names[i] = measure.name
    end
    return names
end

return batches
