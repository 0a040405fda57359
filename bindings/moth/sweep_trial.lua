--- Running one trial: its seed, what it reports, the rule that ends hopeless ones, and the record of how it went.
--
-- The median rule: a trial whose best value so far is worse than the median of what earlier trials had at the same step
-- is hopeless. Which trials are earlier must not depend on chance: trials come in waves of fixed size, a wave starts
-- when the ones before it are finished, and a trial is compared with these only. So the outcome is the same with any
-- number of workers, and after a crash.

local callback = require "moth.callback"
local metric_names = require "moth.metric_names"
local options = require "moth.options"

local found, core = pcall(require, "moth.core")
local clock = found and core.clock or os.time

local sweep_trial = {}

-- ---- the median rule ------------------------------------------------------------------------------------------------

--- The wave of a trial: 0 for the first `startup` ones, which are never ended early.
---@param index integer
---@param prune table  { startup, wave }
---@return integer
function sweep_trial.wave(index, prune)
    return index <= prune.startup and 0 or 1 + (index - prune.startup - 1) // prune.wave
end

local function median(values)
    table.sort(values)
    local middle = #values // 2
    if #values % 2 == 1 or values[middle] == values[middle + 1] then
        return values[middle + 1]
    end
    return (values[middle] + values[middle + 1]) / 2
end
sweep_trial.median = median

-- What earlier trials reported at a step.
local function values_at(earlier, step)
    local values = {}
    for _, record in ipairs(earlier) do
        for _, pair in ipairs(record.reports or {}) do
            if pair[1] == step and pair[2] and pair[2] == pair[2] then
                values[#values + 1] = pair[2]
            end
        end
    end
    return values
end

local function is_hopeless(best, step, earlier, prune)
    if step <= prune.warmup then
        return false
    end
    local values = values_at(earlier, step)
    if #values == 0 then
        return false
    elseif best == nil then
        return true -- nothing but not-a-number so far
    end
    local middle = median(values)
    if prune.mode == "max" then
        return best < middle
    end
    return best > middle
end

-- ---- reports --------------------------------------------------------------------------------------------------------

--- What a trial gets as its second argument. `report(step, value)` tells how it goes and returns true when the trial
-- may end; `report:callback "val_accuracy"` does that after each epoch of a fit.
---@class moth.Report
---@overload fun(step: integer, value: number): boolean
local Report = {}
Report.__index = Report

function Report:__call(step, value)
    if math.type(step) ~= "integer" or step < 1 or not math.type(value) then
        options.fail(("sweep: report takes a step from 1 and a number; got %s and %s"):format(options.show(step),
            options.show(value)))
    end
    table.insert(self.values, { step, value })
    if value == value then
        local better = self.mode == "max" and math.max or math.min
        self.best = better(self.best or value, value)
    end
    self.tell(step, value)
    if self.prune and is_hopeless(self.best, step, self.earlier, self.prune) then
        self.hopeless = true
    end
    return self.hopeless
end

--- A callback for fit that reports a metric after each epoch, and stops a hopeless fit.
---@param metric? string  default: the one that the sweep prunes by
---@return table
function Report:callback(metric)
    metric = options.full_name(metric or self.metric)
    if type(metric) ~= "string" then
        options.fail("sweep: report:callback needs the name of a metric, since the sweep has no prune")
    end
    return {
        on_epoch_end = function(callbacks, epoch, logs)
            local value = logs[metric]
            if math.type(value) and self(epoch, value) then
                callbacks.model.stop_training = true
                -- After the last epoch there is nothing to end early.
                self.hopeless = epoch < callbacks.params.epochs
            end
        end,
    }
end

local function new_report(run)
    local prune = run.prune
    return setmetatable({
        values = {}, tell = run.tell, earlier = run.earlier,
        mode = prune and prune.mode, metric = prune and prune.metric,
        -- The first trials have nothing to be compared with.
        prune = prune and run.wave > 0 and prune or nil,
        hopeless = false,
    }, Report)
end

-- ---- results --------------------------------------------------------------------------------------------------------

-- A number out of a tensor of one element.
local function plain(value)
    if type(value) == "userdata" and value.item then
        return value:item()
    end
    return value
end

local function check_result(result)
    if math.type(result) then
        return { value = result }
    elseif type(result) ~= "table" or getmetatable(result) ~= nil then
        error(("a trial must return a table of results, e.g. { val_accuracy = 0.9 }; got %s"):format(
            options.show(result)), 0)
    end
    local kept = {}
    for name, value in pairs(result) do
        value = plain(value)
        if type(name) ~= "string" then
            error(("a result is named by a string; got %s"):format(options.show(name)), 0)
        elseif not math.type(value) and type(value) ~= "string" and type(value) ~= "boolean" then
            error(("the result %s must be a number, string or boolean; got %s"):format(name, options.show(value)), 0)
        end
        kept[name] = value
    end
    return kept
end

local function one_line(message)
    local text = tostring(message):gsub("[\r\n].*", "")
    return utf8.len(text) and text or options.show(text)
end

--- The message of an error and from where the place was called, without what is moth's own; `body` is the function
--- that the trial was called in.
local function trace_of(message, body)
    local lines = { one_line(message) }
    local last = lines[1]:match "^([^:]*:%d+):"
    for level = 3, 200 do
        local info = debug.getinfo(level, "Slf")
        if not info or info.func == body then
            break
        end
        local place = ("%s:%d"):format(info.short_src, info.currentline)
        if info.what ~= "C" and not info.short_src:find "^moth/" then
            lines[#lines + 1] = place ~= last and "    called from " .. place or nil
            last = nil
        end
    end
    return table.concat(lines, "\n")
end

local function copy(value)
    if type(value) ~= "table" then
        return value
    end
    local new = {}
    for key, one in pairs(value) do
        new[key] = copy(one)
    end
    return new
end

--- Whether an error says that the user pressed Ctrl-C.
---@param message any
---@return boolean
function sweep_trial.is_interrupt(message)
    return type(message) == "string" and message:find("interrupted", 1, true) ~= nil
end

--- Runs a trial. What goes wrong in it becomes its record; only Ctrl-C is raised.
---@param trial table  { id, params, seed }
---@param run { call: function, prune?: table, wave?: integer, earlier: table[], tell: function }
---@return table record
function sweep_trial.run(trial, run)
    local moth = require "moth"
    local report = new_report(run)
    local started = clock()
    moth.seed(trial.seed)
    math.randomseed(trial.seed)
    callback.interrupted = false
    local trace
    local function body()
        local result = check_result(run.call(copy(trial.params), report))
        return result
    end
    local done, result = xpcall(body, function(message)
        trace = trace_of(message, body)
        return message
    end)
    if callback.interrupted or not done and sweep_trial.is_interrupt(result) then
        error(callback.interrupted and "interrupted" or result, 0)
    end
    collectgarbage()
    return {
        id = trial.id, params = trial.params, seed = trial.seed,
        status = not done and "failed" or report.hopeless and "pruned" or "done",
        result = done and result or nil, error = not done and one_line(result) or nil,
        reports = #report.values > 0 and report.values or nil,
        seconds = clock() - started,
    }, trace
end

--- Reads the option prune: the name of a metric, or a table.
---@param value any
---@return table? prune  { metric, mode, startup, warmup, wave }
function sweep_trial.read_prune(value)
    if value == nil then
        return nil
    end
    local prune = options.read({
        name = "sweep: prune",
        positionals = 1,
        { "metric", "string", required = true },
        { "mode", { "auto", "min", "max" }, default = "auto" },
        { "startup", "integer", default = 4, min = 1 },
        { "warmup", "integer", default = 0, min = 0 },
        { "wave", "integer", default = 4, min = 1 },
    }, value)
    prune.metric = options.full_name(prune.metric)
    prune.mode = metric_names.direction(prune.metric, prune.mode, "sweep: prune")
    return prune
end

return sweep_trial
