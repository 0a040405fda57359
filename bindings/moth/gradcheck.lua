--- moth.gradcheck: are the gradients of a function right? Compares them with finite differences.
local core = require "moth.core"
local options = require "moth.options"

local spec = {
    name = "gradcheck",
    positionals = 0,
    { "step", "number", default = 1e-2, above = 0 },
    { "samples", "integer", default = 100, min = 1 },
}

-- Fixed weights that no symmetry of the function can hide behind: the loss is their dot product with its values.
local function weight(i)
    return math.sin(12.9898 * i) + 0.5 * math.cos(4.1414 * i)
end

local function flat(t)
    return t:numel() == 1 and { t:item() } or t:reshape(-1):totable()
end

local function check_result(y)
    local fine, dtype = pcall(function()
        return y.dtype
    end)
    if not fine or dtype ~= "float32" then
        options.fail("gradcheck: the function must return a float32 tensor; got " .. options.show(y))
    end
    return y
end

-- In double, so that only the function's own rounding remains.
local function loss(f, x)
    local sum = 0
    for i, value in ipairs(flat(check_result(core.no_grad(f, x)))) do
        sum = sum + weight(i) * value
    end
    return sum
end

-- Central differences of fourth order: the error falls with h^4, so h may be large beside float32's rounding.
local function slope(f, values, shape, i, h)
    local function at(offset)
        local saved = values[i]
        values[i] = saved + offset
        local x = core.tensor(values):reshape(shape)
        values[i] = saved
        return loss(f, x)
    end
    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
end

--- Compares the gradient of f at x with finite differences and returns the largest error, relative to the larger of 1
--- and the slope. With float32 a right gradient gives about 1e-3 or less; f must be smooth around x.
---@param f fun(x: moth.Tensor): moth.Tensor
---@param x moth.Tensor  float32; not changed
---@param settings? { step?: number, samples?: integer } step: relative to the larger of 1 and |x|; samples: at most so
---   many elements are tried, spread evenly
---@return number error
local function gradcheck(f, x, settings)
    if type(f) ~= "function" then
        options.fail("gradcheck: the first argument must be a function; got " .. options.show(f))
    end
    if not core.is_tensor(x) or x.dtype ~= "float32" then
        options.fail("gradcheck: the second argument must be a float32 tensor; got " .. options.show(x))
    end
    settings = options.read(spec, settings)
    local leaf = x:detach():clone():requires_grad_()
    local y = check_result(f(leaf))
    local weights = {}
    for i = 1, y:numel() do
        weights[i] = weight(i)
    end
    if #weights == 0 then
        return 0.0
    end
    (y:reshape(-1) * core.tensor(weights)):sum():backward()
    local values, shape, count = flat(leaf:detach()), x.shape, x:numel()
    local gradient = leaf.grad and flat(leaf.grad) or {}
    local worst = 0.0
    for sample = 1, math.min(count, settings.samples) do
        local i = count <= settings.samples and sample or 1 + (sample - 1) * count // settings.samples
        local numeric = slope(f, values, shape, i, settings.step * math.max(1, math.abs(values[i])))
        local difference = math.abs(numeric - (gradient[i] or 0)) / math.max(1, math.abs(numeric))
        if difference ~= difference or difference > worst then
            worst = difference
        end
        if worst ~= worst then
            return worst
        end
    end
    return worst
end

return gradcheck
