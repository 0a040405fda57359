--- Running the trials of a sweep: in this process, or by workers.
--
-- A worker is the same program started again on the same script, with MOTH_SWEEP=name:number in its environment; when
-- it comes to the sweep of that name it runs trials until none is left, and ends. All workers belong to one shell,
-- whose output is their channel of events (descriptor 3 of each worker): when this process dies, its workers die too.
-- What a worker prints goes to runs/NAME/worker-N.log.
--
--     start ID · report ID STEP VALUE · end ID · interrupted        by a worker, its number in front
--     exit STATUS                                                   by the shell around it

local core = require "moth.core"
local files = require "moth.files"
local json = require "moth.json"
local options = require "moth.options"
local sweep_trial = require "moth.sweep_trial"

local sweep_run = {}

-- As they were when moth was loaded: scripts eat their arguments.
local arguments = {}
for i, word in pairs(type(_G.arg) == "table" and _G.arg or {}) do
    arguments[i] = word
end

local INTERRUPTED = 130
local EVENTS = 3

-- ---- which trials ---------------------------------------------------------------------------------------------------

local function wave_of(sweep, index)
    return sweep.prune and sweep_trial.wave(index, sweep.prune) or 0
end

-- The records of the trials in earlier waves; nil while one of them is missing.
local function earlier_records(sweep, index, finished)
    local list, wave = {}, wave_of(sweep, index)
    for i, trial in ipairs(sweep.trials) do
        if wave_of(sweep, i) >= wave then
            break
        elseif not finished[trial.id] then
            return nil
        end
        list[i] = finished[trial.id]
    end
    return list
end

local function run_trial(sweep, index, finished, tell)
    return sweep_trial.run(sweep.trials[index], {
        call = sweep.trial, prune = sweep.prune, wave = wave_of(sweep, index),
        earlier = earlier_records(sweep, index, finished), tell = tell,
    })
end

--- The indices of the trials that are not finished.
---@param sweep table
---@return integer[]
function sweep_run.pending(sweep)
    local finished, list = sweep.store:read(), {}
    for i, trial in ipairs(sweep.trials) do
        if not finished[trial.id] then
            list[#list + 1] = i
        end
    end
    return list
end

-- ---- in this process ------------------------------------------------------------------------------------------------

--- Runs the trials one after the other. `watch` is told what happens.
---@param sweep table
---@param watch table  methods start(index), report(index, step, value), finish(index, record, trace)
function sweep_run.here(sweep, watch)
    local finished = sweep.store:read()
    for _, index in ipairs(sweep_run.pending(sweep)) do
        watch:start(index)
        local record, trace = run_trial(sweep, index, finished, function(step, value)
            watch:report(index, step, value)
        end)
        sweep.store:append(record)
        finished[record.id] = record
        watch:finish(index, record, trace)
    end
end

-- ---- a worker -------------------------------------------------------------------------------------------------------

--- The name of the sweep that this process is a worker of, and its number; nil in other processes.
---@return string? name
---@return string? number
function sweep_run.worker_of()
    local name, number = (os.getenv("MOTH_SWEEP") or ""):match("^(.+):(%d+)$")
    return name, number
end

local function open_events(number)
    core.end_with_reader(EVENTS)
    local file = io.open("/dev/fd/" .. EVENTS, "w")
    return function(...)
        local line = table.concat({ number, ... }, "\t") .. "\n"
        -- A channel that is closed means that nobody waits for the results.
        if not file or not file:write(line) or not file:flush() then
            os.exit(1)
        end
    end
end

-- The next trial that nobody has taken and whose earlier waves are finished; or whether there is one to wait for.
local function claim_next(sweep, finished)
    local waiting = false
    for _, index in ipairs(sweep_run.pending(sweep)) do
        local id = sweep.trials[index].id
        if sweep.store:is_claimed(id) then
            waiting = waiting or sweep.prune ~= nil
        elseif not earlier_records(sweep, index, finished) then
            waiting = true
        elseif sweep.store:claim(id) then
            return index
        end
    end
    return nil, waiting
end

local function work(sweep, event)
    while true do
        local finished = sweep.store:read()
        local index, waiting = claim_next(sweep, finished)
        if index then
            local id = sweep.trials[index].id
            event("start", id)
            local record, trace = run_trial(sweep, index, finished, function(step, value)
                event("report", id, step, json.format_number(value))
            end)
            if trace then
                io.stderr:write("trial ", json.encode(record.params), ": ", trace, "\n")
            end
            sweep.store:append(record)
            event("end", id)
        elseif waiting then
            os.execute("sleep 0.05")
        else
            return
        end
    end
end

--- Runs trials until none is left, and ends the process.
---@param sweep table
---@param number string
function sweep_run.worker(sweep, number)
    sweep.store.claims = os.getenv("MOTH_SWEEP_CLAIMS")
    local event = open_events(number)
    local done, message = pcall(work, sweep, event)
    if not done and sweep_trial.is_interrupt(message) then
        event("interrupted")
        os.exit(INTERRUPTED, true)
    elseif not done then
        io.stderr:write(tostring(message), "\n")
    end
    os.exit(done, true)
end

-- ---- the process that starts the workers ----------------------------------------------------------------------------

--- The command that started this process on its script, quoted for the shell; nil where there is no script to start
-- again (REPL, -e, standard input).
---@return string?
function sweep_run.command()
    if type(arguments[0]) ~= "string" or type(arguments[-1]) ~= "string" then
        return nil
    end
    local is_script, level = false, 2
    local info = debug.getinfo(level, "S")
    while info do
        is_script = is_script or info.what == "main" and info.source == "@" .. arguments[0]
        level = level + 1
        info = debug.getinfo(level, "S")
    end
    if not is_script then
        return nil
    end
    local first, words = -1, {}
    while arguments[first - 1] do
        first = first - 1
    end
    for i = first, #arguments do
        words[#words + 1] = files.quote(arguments[i])
    end
    return table.concat(words, " ")
end

local function log_path(sweep, worker)
    return ("%s/worker-%d.log"):format(sweep.store.directory, worker)
end

-- Stock Lua writes a traceback under its error: the error is what is wanted.
local function last_message(path)
    local last = ""
    if files.exists(path) then
        for line in files.read(path):gmatch("[^\n]+") do
            if line ~= "stack traceback:" and not line:find("^\t") then
                last = line
            end
        end
    end
    return last
end

local function shell_command(sweep, command, workers)
    local lines = {}
    for worker = 1, workers do
        lines[worker] = ("(MOTH_SWEEP=%s MOTH_SWEEP_CLAIMS=%s MOTH_NUM_THREADS=1 %s 3>&1 >%s 2>&1 </dev/null; "
            .. 'printf "%d\\texit\\t%%d\\n" $?) &'):format(files.quote(sweep.name .. ":" .. worker),
            files.quote(sweep.store.claims), command, files.quote(log_path(sweep, worker)), worker)
    end
    lines[#lines + 1] = "wait"
    return table.concat(lines, "\n")
end

local Round = {}
Round.__index = Round

function Round:start(worker, id)
    if not self.index_of[id] then
        options.fail(("sweep %s: a worker has other trials than this process; what stands before moth.sweep must "
            .. "give the same parameters each time it runs (moth.seed)"):format(self.sweep.name))
    end
    self.current[worker] = id
    self.watch:start(self.index_of[id])
end

function Round:report(_, id, step, value)
    self.watch:report(self.index_of[id], math.tointeger(tonumber(step)), json.number(tonumber(value) or value))
end

Round["end"] = function(self, worker, id)
    self.current[worker] = nil
    self.watch:finish(self.index_of[id], self.sweep.store:read()[id])
end

function Round:interrupted()
    self.was_interrupted = true
end

-- A trial whose process died (killed, out of memory) is tried once more, in case it was not its fault.
function Round:exit(worker, status)
    local id = self.current[worker]
    self.current[worker] = nil
    if math.tointeger(tonumber(status)) == INTERRUPTED then
        self.was_interrupted = true
    elseif id then
        self.deaths[id] = (self.deaths[id] or 0) + 1
        self.progress = true
        if self.deaths[id] > 1 then
            local trial = self.sweep.trials[self.index_of[id]]
            local record = { id = id, params = trial.params, seed = trial.seed, status = "failed",
                error = ("the process that ran it ended twice, with status %s"):format(status) }
            self.sweep.store:append(record)
            self.watch:finish(self.index_of[id], record)
        else
            self.sweep.store:release(id)
            self.watch:lost(self.index_of[id])
        end
    elseif status ~= "0" then
        local log = log_path(self.sweep, worker)
        self.watch:ended(worker, ("status %s; %s ends with: %s"):format(status, log, last_message(log)))
    end
end

local events = { start = true, report = true, ["end"] = true, interrupted = true, exit = true }

function Round:run(command, workers)
    self.sweep.store:new_claims()
    local pipe <close> = assert(io.popen(shell_command(self.sweep, command, workers), "r"))
    for line in pipe:lines() do
        local words = {}
        for word in line:gmatch("[^\t]+") do
            words[#words + 1] = word
        end
        if events[words[2]] then
            self[words[2]](self, words[1], table.unpack(words, 3))
        end
    end
    self.sweep.store:end_claims()
end

--- Runs the trials by workers. A round ends when all its workers have ended; another one follows while trials are left.
---@param sweep table
---@param watch table  as for `here`, and lost(index), ended(worker, how)
---@param command string
---@param workers integer
function sweep_run.workers(sweep, watch, command, workers)
    local round = setmetatable({ sweep = sweep, watch = watch, current = {}, deaths = {}, index_of = {} }, Round)
    for i, trial in ipairs(sweep.trials) do
        round.index_of[trial.id] = i
    end
    local pending = sweep_run.pending(sweep)
    while #pending > 0 do
        round.progress = false
        round:run(command, math.min(workers, #pending))
        if round.was_interrupted then
            error("interrupted", 0)
        end
        local left = sweep_run.pending(sweep)
        if #left == #pending and not round.progress then
            options.fail(("sweep %s: the workers ended without running a trial; %s ends with: %s"):format(sweep.name,
                log_path(sweep, 1), last_message(log_path(sweep, 1))))
        end
        pending = left
    end
end

return sweep_run
