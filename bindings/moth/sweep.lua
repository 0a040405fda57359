--- moth.sweep: the same experiment over many parameters.
--
--     local sweep = moth.sweep { name = "dropout", grid = { dropout = moth.linspace(0.1, 1.0, 9) }, seeds = 3,
--                                workers = 2, trial = function(p) … return { val_accuracy = … } end }
--     sweep:table()   sweep:best "val_accuracy"   sweep:plot("dropout", "val_accuracy", "dropout.svg")
--
-- Instead of a grid, `space = { lr = moth.sweep.log_uniform(1e-4, 1) }, trials = 20` draws at random: log_uniform,
-- uniform, integers, choice. `prune = "val_accuracy"` ends hopeless trials that report how they go:
-- `trial = function(p, report) … callbacks = { report:callback() }`. Each trial starts from its own seed, p.seed where
-- seeds are given. Finished trials are kept in runs/NAME and not run again.

local metric_names = require "moth.metric_names"
local options = require "moth.options"
local progress = require "moth.progress"
local space = require "moth.sweep_space"
local store = require "moth.sweep_store"
local sweep_run = require "moth.sweep_run"
local sweep_table = require "moth.sweep_table"
local sweep_trial = require "moth.sweep_trial"
local sweep_watch = require "moth.sweep_watch"

--- What moth.sweep returns: the trials and what they found.
---@class moth.Sweep
---@field name string
---@field names string[] of the parameters
local Sweep = { __name = "moth.Sweep" }
Sweep.__index = Sweep

-- ---- what it found --------------------------------------------------------------------------------------------------

--- Prints the table of all trials: a row for each combination of parameters; over seeds, median and range.
function Sweep:table()
    progress.default():result(tostring(self))
end

function Sweep:__tostring()
    return table.concat(sweep_table.lines(self), "\n")
end

--- The records of the finished trials in the order of the sweep.
---@return table[] records  { params, result, status, error, seconds, seed, reports }
function Sweep:records()
    local finished, list = self.store:read(), {}
    for _, trial in ipairs(self.trials) do
        list[#list + 1] = finished[trial.id]
    end
    return list
end

local function check_metric(self, metric, who)
    local known = sweep_table.metrics(sweep_table.groups(self))
    metric = options.full_name(metric)
    for _, name in ipairs(known) do
        if name == metric then
            return metric
        end
    end
    options.fail(("%s: %s"):format(who, options.unknown("no result named", metric, known)))
end

local Best = {}
function Best:__tostring()
    return ("%s: %s %s"):format(sweep_table.describe(self.names, self.params), self.metric,
        progress.number(self.value))
end

--- The best combination of parameters, by the median over its seeds. Trials that ended early do not count.
---@param metric string
---@param mode? "min"|"max"  default: by the metric's name
---@return { params: table, metric: string, value: number, low: number, high: number, result: table, records: table[] }
function Sweep:best(metric, mode)
    metric = check_metric(self, metric, "sweep:best")
    local sign = metric_names.direction(metric, mode, "sweep:best") == "max" and 1 or -1
    local best
    for _, group in ipairs(sweep_table.groups(self)) do
        local done = {}
        for _, record in ipairs(group.records) do
            done[#done + 1] = record.status == "done" and record or nil
        end
        local value, low, high = sweep_table.summary(done, metric)
        if value and (not best or sign * value > sign * best.value) then
            best = { params = group.params, metric = metric, value = value, low = low, high = high, records = done,
                result = done[1].result, names = self.names }
        end
    end
    return best and setmetatable(best, Best)
        or options.fail(("sweep:best: no trial has a number for %s"):format(metric))
end

--- Plots a result over one parameter (median and range over all others and the seeds), or over two as a heat map.
---@param parameter string|string[]  one name, or two
---@param metric string
---@param file? string  without it, in the terminal
---@param settings? table  options of moth.plot
---@return string? file
function Sweep:plot(parameter, metric, file, settings)
    return require("moth.sweep_plot").plot(self, parameter, check_metric(self, metric, "sweep:plot"), file, settings)
end

-- ---- running it -----------------------------------------------------------------------------------------------------

local function sweep_name(value)
    if type(value) == "string" and value:find("^[%w_][%w_.-]*$") and #value <= 100 then
        return value
    end
    return nil, "a name of letters, digits, '_', '-' and '.'"
end

local function prune_option(value)
    if type(value) == "string" or type(value) == "table" then
        return value
    end
    return nil, "the name of a metric, or a table with metric, startup, warmup, wave"
end

local spec = {
    name = "sweep",
    positionals = 0,
    { "name", sweep_name, required = true },
    { "trial", "function", required = true },
    { "grid", "table" },
    { "space", "table" },
    { "trials", "integer", min = 1 },
    { "seed", "integer", default = 1671 },
    { "seeds", "integer|table" },
    { "workers", "integer", min = 1, max = 1024 },
    { "prune", prune_option },
    { "dir", "string", default = "runs" },
    { "resume", "boolean", default = true },
    { "verbose", { 0, 1, 2 } },
}

local function check_search(read)
    if (read.grid == nil) == (read.space == nil) then
        options.fail("sweep: give either grid, or space with a number of trials")
    elseif read.space and not read.trials then
        options.fail("sweep: a random search needs trials, the number of draws")
    elseif read.grid and read.trials then
        options.fail("sweep: a grid has as many trials as combinations; trials belongs to space")
    end
end

local function new_sweep(read)
    check_search(read)
    local trials, names, log = space.trials(read)
    return setmetatable({
        name = read.name, trial = read.trial, trials = trials, names = names, log = log, verbose = read.verbose,
        random = read.space ~= nil, prune = sweep_trial.read_prune(read.prune),
        store = store.open(read.dir .. "/" .. read.name),
    }, Sweep)
end

local told_in_process = false

-- How many workers, and how to start them; 1 means that trials run in this process.
local function choose_workers(read, pending)
    local wanted = math.min(read.workers or require("moth").threads(), #pending)
    if wanted < 2 then
        return 1
    end
    local command = sweep_run.command()
    if not command and not told_in_process then
        told_in_process = true
        progress.default():message("sweep: there is no script to start workers on, so trials run in this process")
    end
    return command and wanted or 1, command
end

local function run(self, read)
    local pending = sweep_run.pending(self)
    if #pending == 0 then
        return
    end
    local workers, command = choose_workers(read, pending)
    local watch = read.verbose == 0 and sweep_watch.silent() or sweep_watch.new(self, pending, workers)
    local done, message = pcall(function()
        if workers > 1 then
            sweep_run.workers(self, watch, command, workers)
        else
            sweep_run.here(self, watch)
        end
    end)
    local interrupted = not done and sweep_trial.is_interrupt(message)
    watch:close(interrupted)
    if not done then
        error(message, 0)
    end
end

local running = false

local function sweep(read)
    local self = new_sweep(read)
    local worker_of, number = sweep_run.worker_of()
    if worker_of == self.name and not running then
        running = true
        sweep_run.worker(self, number)
    elseif worker_of and not running then
        return self -- a sweep on the way to the one that this worker belongs to: it was run before
    end
    local _ <close> = self.store:hold(self.name)
    if not read.resume then
        self.store:clear()
    end
    self.store:repair()
    local outer = running
    running = true
    local done, message = pcall(run, self, read)
    running = outer
    if not done then
        error(message, 0)
    end
    return self
end

---@overload fun(args: table): table
return setmetatable({
    log_uniform = space.log_uniform,
    uniform = space.uniform,
    integers = space.integers,
    choice = space.choice,
}, {
    __call = function(_, args)
        return sweep(options.read(spec, args))
    end,
})
