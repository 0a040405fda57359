--- moth: machine learning in Lua. This file alone decides what is public: the table that it returns.
local core = require "moth.core"

local moth = { version = core.version } ---@type table

-- Functions made in C that are public as they are (native.lua documents them).
for name in ([[
    seed threads cpu
    tensor zeros ones full eye arange linspace rand randn randint permutation
    cat stack where one_hot maximum minimum matmul
    no_grad
    save_npy load_npy save_tensors load_tensors
]]):gmatch("%S+") do
    moth[name] = assert(core[name] or core.tensor_methods[name], name)
end

-- Methods that are functions too, as in NumPy and PyTorch: moth.exp(x) is x:exp().
for name in ([[
    abs ceil clamp cos erf exp floor log log1p neg reciprocal round sign sin sqrt square
    elu gelu hard_sigmoid leaky_relu log_softmax relu selu sigmoid silu softmax softplus softsign tanh
    add sub mul div pow eq ne lt le gt ge
    sum mean prod var std norm max min argmax argmin cumsum all any
    reshape flatten squeeze unsqueeze transpose permute expand flip index split clone
]]):gmatch("%S+") do
    moth[name] = assert(core.tensor_methods[name], name)
end

-- The rest is loaded when it is first used, so that starting stays quick. Names by module; a module that is public as a
-- whole stands for itself.
local parts = {
    callbacks = "callbacks",
    catalog = "Input activations constraints initializers layers losses metrics optimizers regularizers schedules",
    checkpoint = "load_model model_from_json",
    compile = "compile",
    custom = "Layer",
    datasets = "datasets",
    digit_model = "predict_digit",
    gradcheck = "gradcheck",
    image = "image",
    model = "Sequential Model",
    plot = "plot",
    sweep = "sweep",
}

local module_of = {}
for module, names in pairs(parts) do
    for name in names:gmatch "%S+" do
        module_of[name] = module
    end
end

local function load_part(self, name)
    local module = module_of[name]
    if not module then
        return nil
    end
    local part = require("moth." .. module)
    local value = module == name and part or part[name]
    rawset(self, name, value)
    return value
end

-- What the engine wants to be known is said once.
local said = {}
local function say(line)
    if not said[line] then
        said[line] = true
        require("moth.progress").default():message("moth: " .. line)
    end
end
core.set_log(say)

-- Settings that cannot be followed are said, not fatal: they may come from a profile made for another machine.
do
    local threads, cpu = os.getenv "MOTH_NUM_THREADS" or "", os.getenv "MOTH_CPU" or ""
    if threads ~= "" and tonumber(threads) ~= core.threads() then
        say(("MOTH_NUM_THREADS=%s: expected 1 to 64; %d in use"):format(threads, core.threads()))
    end
    if cpu ~= "" and cpu ~= core.cpu() then
        say(("MOTH_CPU=%s: not one that runs here; %s in use"):format(cpu, core.cpu()))
    end
end

return setmetatable(moth, {
    __index = load_part,
    -- Listing what there is loads all of it.
    __pairs = function(self)
        for name in next, module_of do
            load_part(self, name)
        end
        return next, self
    end,
})
