-- Sweeps whose trials run in processes of their own.
require "moth"
local support = require "tests.spec.support"

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

describe("workers", function()
    -- What runs this spec also runs the scripts: lua5.4 with the module, or the program.
    local interpreter

    setup(function()
        local first = 0
        while arg[first - 1] do
            first = first - 1
        end
        interpreter = arg[first]
    end)

    local script = [[
        local moth = require "moth"
        local directory, workers, crash = arg[1], tonumber(arg[2]), arg[3]
        print("before the sweep")
        local function count(path)
            local file = io.open(path, "ab")
            file:write("x\n")
            file:close()
        end
        local first = moth.sweep { name = "first", dir = directory, grid = { a = { 1 } }, trial = function()
            count(directory .. "/runs-of-first")
            return 1
        end }
        local function check(a)
            assert(a ~= 5, "five is no good")
        end
        local s = moth.sweep { name = "s", dir = directory, workers = workers,
            prune = { "loss", startup = 6, wave = 3 },
            grid = { a = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } }, trial = function(p, report)
                print("trial " .. p.a)
                count(directory .. "/runs-of-" .. p.a)
                if crash == "always" and p.a == 3 or crash == "once" and not io.open(directory .. "/crashed") then
                    count(directory .. "/crashed")
                    os.exit(9)
                end
                local loss = (p.a * 7 % 12) + moth.rand(1)[1] + math.random()
                for step = 1, 3 do
                    os.execute("sleep 0.02")
                    if report(step, loss / step) then
                        return { loss = loss / step }
                    end
                end
                check(p.a)
                return { loss = loss / 3 }
            end }
        s:table()
        print(s:best "loss")
    ]]

    local function command(workers, crash)
        support.write(directory .. "/it's a script.lua", script)
        return ('%s "%s/it\'s a script.lua" "%s" %d %s'):format(interpreter, directory, directory, workers,
            crash or "")
    end

    -- Standard output, standard error and status of a command.
    local function run(shell_command)
        local out, err = directory .. "/out", directory .. "/err"
        local _, how, code = os.execute(("(%s) >%s 2>%s </dev/null"):format(shell_command, out, err))
        -- Errors name the script by its path, which differs from test to test.
        local shown = support.read(out):gsub(directory:gsub("%p", "%%%0"), "DIR")
        return shown, support.read(err), how == "exit" and code or 128 + code
    end

    local function fresh()
        os.execute("rm -rf " .. directory .. "/*")
    end

    -- Runs the command in a group of its own and sends the signal when so many trials are finished.
    local function run_until(finished, started, signal, whom)
        return run(('setsid %s & until [ "$(cat %s/s/trials.jsonl 2>/dev/null | wc -l)" -ge %d ]; do sleep 0.01; done; '
            .. "kill -%s %s$!; wait $!"):format(started, directory, finished, signal, whom))
    end

    -- The table at the end: what the last trials print comes before it when only one process is left to start.
    local function table_in(out)
        return out:match "(a +loss.*)$"
    end

    local expected

    local function reference()
        if not expected then
            fresh()
            expected = run(command(1))
            assert.is_truthy(expected:find("five is no good"))
            assert.is_truthy(expected:find("ended early"))
            -- Its own output comes first in this process: the table is what follows.
            expected = table_in(expected)
            fresh()
        end
        return expected
    end

    it("are refused when they have trials of their own", function()
        local path = directory .. "/other.lua"
        support.write(path, [[
            local moth = require "moth"
            local other = os.getenv "MOTH_SWEEP" and 4 or 0
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1 + other, 2 + other } },
                trial = function() return 1 end }
        ]])
        local _, err, code = run(('%s "%s" "%s"'):format(interpreter, path, directory))
        assert.are.equal(1, code)
        assert.is_truthy(err:find("other.lua:3: sweep s: a worker has other trials than this process", 1, true), err)
    end)

    it("give the same table as one process, and run each trial once", function()
        local table_of_one = reference()
        for workers = 2, 3 do
            fresh()
            local out, err = run(command(workers))
            assert.are.equal("before the sweep\n" .. table_of_one, out)
            assert.is_truthy(err:find("sweep s: 12 of 12 trials to run, " .. workers .. " workers", 1, true))
            for a = 1, 12 do
                assert.are.equal(1, support.lines(directory .. "/runs-of-" .. a))
            end
            assert.are.equal(1, support.lines(directory .. "/runs-of-first"))
            local logs = ""
            for worker = 1, workers do
                logs = logs .. support.read(directory .. "/s/worker-" .. worker .. ".log")
            end
            assert.is_truthy(logs:find("before the sweep\n", 1, true))
            assert.is_truthy(logs:find("trial 7\n", 1, true))
            assert.is_truthy(logs:find("called from", 1, true))
            assert.is_nil(logs:find("[C]", 1, true))
            -- Claims do not outlive their round.
            assert.is_nil((io.popen("ls " .. directory .. "/s"):read("a"):find("claims", 1, true)))
        end
        -- Everything is finished: nothing runs.
        local out, err = run(command(2))
        assert.are.equal("before the sweep\n" .. table_of_one, out)
        assert.are.equal("", err)
    end)

    it("can be killed at any moment: the sweep goes on and ends the same #slow", function()
        local table_of_one = reference()
        for i, finished in ipairs { 1, 3, 6 } do
            for _, whom in ipairs { "-", "" } do
                fresh()
                -- With - the whole group dies, without it only the process that started the workers.
                run_until(finished, command(1 + i % 3), "9", whom)
                assert.is_true(support.lines(directory .. "/s/trials.jsonl") < 12)
                assert.are.equal(table_of_one, table_in((run(command(2)))))
            end
        end
    end)

    it("may lose a process: its trial is tried again, and fails the second time", function()
        local table_of_one = reference()
        local out, err = run(command(2, "once"))
        assert.are.equal("before the sweep\n" .. table_of_one, out)
        assert.is_truthy(err:find("the process of a=%d+ ended; trying again"))
        fresh()
        out = run(command(2, "always"))
        assert.is_truthy(out:find("3 +failed: the process that ran it ended twice, with status 9"))
        assert.are.equal(12, support.lines(directory .. "/s/trials.jsonl"))
        assert.are.equal(2, support.lines(directory .. "/runs-of-3"))
    end)

    it("end with Ctrl-C, and the sweep goes on later", function()
        local table_of_one = reference()
        local _, err = run_until(1, command(2), "INT", "-")
        assert.is_truthy(err:find("sweep s: stopped after .* of 12 trials finished; run it again to go on"), err)
        local trials = directory .. "/s/trials.jsonl"
        assert.is_nil(support.lines(trials) > 0 and support.read(trials):find("interrupted") or nil)
        assert.are.equal(table_of_one, table_in((run(command(2)))))
    end)

    it("end with the process that started them, also in the middle of a trial", function()
        support.write(directory .. "/long.lua", [[
            local moth = require "moth"
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = function(p)
                os.execute("echo $PPID > " .. arg[1] .. "/pid-" .. p.a)
                while true do end
            end }
        ]])
        run(([[setsid %s "%s/long.lua" "%s" &
            n=0
            until test -s "%s/pid-1" && test -s "%s/pid-2" || test $n -ge 600; do sleep 0.1; n=$((n+1)); done
            kill -9 $!]]):format(interpreter, directory, directory, directory, directory))
        for a = 1, 2 do
            local pid = tonumber(support.read(directory .. "/pid-" .. a))
            local gone = os.execute(("n=0; while kill -0 %d 2>/dev/null; do sleep 0.1; n=$((n+1)); "
                .. "test $n -lt 300 || { kill -9 %d; exit 1; }; done"):format(pid, pid))
            assert.is_true(gone)
        end
    end)

    it("that end before a trial are reported, and the others do the work", function()
        support.write(directory .. "/half.lua", [[
            local moth = require "moth"
            if os.getenv("MOTH_SWEEP") == "s:2" then error("no luck here") end
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = function(p)
                return p.a
            end }
        ]])
        local _, err, code = run(("%s %s/half.lua %s"):format(interpreter, directory, directory))
        assert.are.equal(0, code)
        assert.is_truthy(err:find("sweep s: worker 2 ended early with status 1; ", 1, true), err)
        assert.is_truthy(err:find("worker%-2%.log ends with: [^\n]*no luck here"), err)
        assert.are.equal(2, support.lines(directory .. "/s/trials.jsonl"))
    end)

    it("that cannot start are reported with what they said", function()
        support.write(directory .. "/bad.lua", [[
            local moth = require "moth"
            if os.getenv("MOTH_SWEEP") then error("no data here") end
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = print }
        ]])
        local _, err, code = run(("%s %s/bad.lua %s"):format(interpreter, directory, directory))
        assert.are.equal(1, code)
        assert.is_truthy(err:find("bad.lua:3: sweep s: the workers ended without running a trial; ", 1, true), err)
        assert.is_truthy(err:find("worker%-1%.log ends with: [^\n]*no data here"), err)
    end)

    it("are not started without a script: trials run in the process, which says so once", function()
        local code = ("moth = require 'moth' for i = 1, 2 do moth.sweep { name = 's' .. i, dir = '%s', workers = 2, "
            .. "grid = { a = { 1, 2 } }, trial = function(p) return p.a end }:table() end"):format(directory)
        for _, how in ipairs { ('%s -e "%s"'):format(interpreter, code),
            ('echo "%s" | %s -'):format(code, interpreter) } do
            local out, err = run(how)
            assert.are.equal("a  value\n1  1\n2  2\na  value\n1  1\n2  2\n", out)
            local _, told = err:gsub("there is no script to start workers on, so trials run in this process\n", "")
            assert.are.equal(1, told)
            fresh()
        end
    end)
end)
