--- The trials of a sweep: every combination of a grid, or draws from a space; and who a trial is.
-- A trial is known by the JSON of its parameters, keys sorted. Its identity and its seed follow from that text alone:
-- not from the order of trials, nor from the process that runs it.

local json = require "moth.json"
local options = require "moth.options"

local space = {}

-- ---- hashing --------------------------------------------------------------------------------------------------------

-- FNV-1a over the bytes; the finalizer of SplitMix64 then spreads every bit over all others.
local function hash(text)
    local h = 0xCBF29CE484222325
    for i = 1, #text do
        h = (h ~ text:byte(i)) * 0x100000001B3
    end
    h = (h ~ h >> 30) * 0xBF58476D1CE4E5B9
    h = (h ~ h >> 27) * 0x94D049BB133111EB
    return h ~ h >> 31
end

--- The identity of a trial.
---@param params table
---@return string
function space.id(params)
    return ("%016x"):format(hash(json.encode(params)))
end

--- The seed of a trial: the parameter `seed` where there is one, else from its identity.
---@param params table
---@return integer
function space.seed(params)
    return math.type(params.seed) == "integer" and params.seed or hash(json.encode(params)) & 0x7FFFFFFF
end

-- ---- distributions --------------------------------------------------------------------------------------------------

local Distribution = { __name = "sweep distribution" }
Distribution.__index = Distribution

local function is_distribution(value)
    return getmetatable(value) == Distribution
end

local function distribution(log, at)
    return setmetatable({ log = log, at = at }, Distribution)
end

local function bounds(name, low, high, what, accepted)
    if not accepted(low) or not accepted(high) or low >= high then
        options.fail(("sweep.%s: takes %s, the smaller first; got %s and %s"):format(name, what, options.show(low),
            options.show(high)))
    end
end

local function finite(x)
    return math.type(x) and x == x and x ~= math.huge and x ~= -math.huge
end

-- Six digits are enough for any parameter, and can be read.
local function rounded(x)
    return tonumber(("%.6g"):format(x)) + 0.0
end

--- Numbers between two positive bounds, each decade as likely as the other.
---@param low number
---@param high number
---@return table
function space.log_uniform(low, high)
    bounds("log_uniform", low, high, "two numbers above 0", function(x)
        return finite(x) and x > 0
    end)
    return distribution(true, function(u)
        return rounded(math.exp(math.log(low) + u * (math.log(high) - math.log(low))))
    end)
end

--- Numbers between two bounds.
---@param low number
---@param high number
---@return table
function space.uniform(low, high)
    bounds("uniform", low, high, "two numbers", finite)
    return distribution(false, function(u)
        return rounded(low + u * (high - low))
    end)
end

--- Integers from `low` to `high`, both included.
---@param low integer
---@param high integer
---@return table
function space.integers(low, high)
    local function integer(x)
        return math.type(x) and math.tointeger(x)
    end
    bounds("integers", low, high, "two integers", integer)
    low, high = integer(low), integer(high)
    return distribution(false, function(u)
        return math.min(low + math.floor(u * (high - low + 1)), high)
    end)
end

-- ---- values ---------------------------------------------------------------------------------------------------------

-- A number that came as float32 is meant as the shortest decimal that float32 stores as the same bits.
local function shortest_float32(x)
    for digits = 1, 9 do
        local short = tonumber(("%." .. digits .. "g"):format(x))
        if ("f"):unpack(("f"):pack(short)) == x then
            return short + 0.0
        end
    end
    return x
end

local function tensor_values(value)
    local list = value:totable()
    if type(list) ~= "table" then
        list = { list }
    end
    for i, x in ipairs(list) do
        list[i] = math.type(x) == "float" and shortest_float32(x) or x
    end
    return list
end

local function check_value(name, value)
    if math.type(value) and not finite(value) then
        options.fail(("sweep: the parameter %s must be finite; got %s"):format(name, options.show(value)))
    end
    local writable, reason = pcall(json.encode, value)
    if not writable then
        options.fail(("sweep: the parameter %s cannot be kept as JSON: %s"):format(name, reason:gsub("^json: ", "")))
    end
    return value
end

-- The values of one parameter: a list or tensor of them, or one value alone.
local function values_of(name, value)
    local list
    if type(value) == "userdata" and value.totable then
        list = tensor_values(value)
    elseif type(value) == "table" and not is_distribution(value) then
        list = table.move(value, 1, #value, 1, {})
        if #list == 0 or next(value, #list) ~= nil then
            options.fail(("sweep: the parameter %s must have a list of values"):format(name))
        end
    elseif type(value) == "number" or type(value) == "string" or type(value) == "boolean" then
        list = { value }
    else
        options.fail(("sweep: the parameter %s must have a list of values; got %s"):format(name, options.show(value)))
    end
    for _, one in ipairs(list) do
        check_value(name, one)
    end
    return list
end

--- Any of some values, one as likely as the other.
---@param values any[]
---@return table
function space.choice(values)
    if type(values) ~= "table" and type(values) ~= "userdata" then
        options.fail(("sweep.choice: takes a list of values; got %s"):format(options.show(values)))
    end
    local list = values_of("of sweep.choice", values)
    return distribution(false, function(u)
        return list[math.min(math.floor(u * #list) + 1, #list)]
    end)
end

local function sorted_names(parameters)
    local names = {}
    for name in pairs(parameters) do
        if type(name) ~= "string" then
            options.fail(("sweep: a parameter is named by a string; got %s"):format(options.show(name)))
        end
        names[#names + 1] = name
    end
    if #names == 0 then
        options.fail("sweep: there is no parameter")
    end
    table.sort(names)
    return names
end

-- ---- trials ---------------------------------------------------------------------------------------------------------

-- Each of some parameter tables with each value of one more parameter.
local function multiplied(list, name, values)
    local product = {}
    for _, params in ipairs(list) do
        for _, value in ipairs(values) do
            local extended = {}
            for key, old in pairs(params) do
                extended[key] = old
            end
            extended[name] = value
            product[#product + 1] = extended
        end
    end
    return product
end

local function grid(parameters)
    local list = { {} }
    for _, name in ipairs(sorted_names(parameters)) do
        if is_distribution(parameters[name]) then
            options.fail(("sweep: grid needs the values of %s; a distribution belongs into space"):format(name))
        end
        list = multiplied(list, name, values_of(name, parameters[name]))
    end
    return list
end

-- Draw k of a parameter depends on nothing but the sweep's seed, the parameter's name and k.
local function draw(parameters, names, seed, k)
    local params = {}
    for _, name in ipairs(names) do
        local u = (hash(("%d %s %d"):format(seed, name, k)) >> 11) * 2.0 ^ -53
        params[name] = parameters[name].at(u)
    end
    return params
end

-- Draws that repeat an earlier one are drawn again; where there are too few different ones, there are fewer trials.
local function random(parameters, trials, seed)
    local names, distributions = sorted_names(parameters), {}
    for _, name in ipairs(names) do
        local value = parameters[name]
        distributions[name] = is_distribution(value) and value or space.choice(values_of(name, value))
    end
    local list, seen, k = {}, {}, 0
    while #list < trials and k < 20 * trials do
        k = k + 1
        local params = draw(distributions, names, seed, k)
        local id = space.id(params)
        if not seen[id] then
            seen[id] = true
            list[#list + 1] = params
        end
    end
    return list
end

local function seed_list(seeds)
    local list = {}
    for i, seed in ipairs(type(seeds) == "table" and seeds or {}) do
        list[i] = math.type(seed) == "integer" and seed
            or options.fail(("sweep: seeds must be integers; got %s"):format(options.show(seed)))
    end
    if math.type(seeds) == "integer" then
        for i = 1, seeds do
            list[i] = i
        end
    end
    return list
end

--- The trials of a sweep in their order, and what is to be known about each parameter.
---@param settings { grid?: table, space?: table, trials?: integer, seeds?: integer|integer[], seed: integer }
---@return table[] trials  { id, params, seed }
---@return string[] names  of the parameters, sorted, without seed
---@return table<string, boolean> log  which are drawn by decades
function space.trials(settings)
    local parameters = settings.grid or settings.space
    local names, log = sorted_names(parameters), {}
    local list = settings.grid and grid(parameters) or random(parameters, settings.trials, settings.seed)
    for name, value in pairs(parameters) do
        log[name] = is_distribution(value) and value.log or nil
    end
    local seeds = seed_list(settings.seeds)
    if #seeds > 0 then
        if parameters.seed ~= nil then
            options.fail("sweep: give seeds either as the option seeds or as the parameter seed")
        end
        list = multiplied(list, "seed", seeds)
    end
    local trials, seen = {}, {}
    for _, params in ipairs(list) do
        local id = space.id(params)
        if not seen[id] then
            seen[id] = true
            trials[#trials + 1] = { id = id, params = params, seed = space.seed(params) }
        end
    end
    for i = #names, 1, -1 do
        if names[i] == "seed" then
            table.remove(names, i)
        end
    end
    return trials, names, log
end

return space
