--- What the README promises, run as written: build/moth tests/accept.lua [--only PATTERN] [--quick] [--reuse]
--
-- Each line says what must hold and is run on real MNIST where it names an accuracy (the median of seeds 1, 2 and 3
-- where the line says so). What was found is kept in build/accept, so that lines can be run in pieces (--only, a Lua
-- pattern for the name); docs/results.md is written of all that is kept there, and a line that was never run says so.
-- --quick leaves out what takes minutes. --reuse takes the output of an experiment that is in build/accept already.
-- The tables of `make bench` and `make parity` are put behind the lines when they lie in build/accept.
local here = (arg[0]:match("^(.*)/[^/]*$") or ".")
local root = here .. "/.."
local state = root .. "/build/accept"
local program = root .. "/build/moth"
local cases = dofile(here .. "/accept_lines.lua")

local function usage()
    io.stderr:write("usage: moth tests/accept.lua [--only PATTERN] [--quick] [--reuse]\n")
    os.exit(2)
end

local options = {}
do
    local i = 1
    while arg[i] do
        if arg[i] == "--only" and arg[i + 1] then
            options.only = arg[i + 1]
            i = i + 1
        elseif arg[i] == "--quick" or arg[i] == "--reuse" then
            options[arg[i]:sub(3)] = true
        else
            usage()
        end
        i = i + 1
    end
end

local function read(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local text = file:read "a"
    file:close()
    return text
end

local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
end

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Output of a shell command, and whether it ended well.
local function shell(command)
    local pipe = assert(io.popen("cd " .. quote(root) .. " && { " .. command .. "\n} 2>&1"))
    local text = pipe:read "a"
    return text, pipe:close() == true
end

local function line_of(command)
    return (shell(command):match "^[^\n]*")
end

-- What the lines are run with.
local run = { program = program, root = root, shell = shell, quote = quote, read = read }

--- The output of scripts/NAME.lua with this seed.
function run.experiment(name, seed)
    local path = ("%s/%s-%d.log"):format(state, name, seed)
    local kept = options.reuse and read(path)
    if kept then
        return kept
    end
    local text, good = shell(("build/moth scripts/%s.lua --seed %d --verbose 2"):format(name, seed))
    if not good then
        error(("scripts/%s.lua failed: %s"):format(name, text:match "([^\n]*)\n*$"), 0)
    end
    write(path, text)
    return text
end

--- The output of a Lua text that the program runs with these variables of the environment.
function run.lua(text, environment)
    local path = os.tmpname()
    write(path, text)
    local output, good = shell(("env %s build/moth %s"):format(environment or "", path))
    os.remove(path)
    if not good then
        error(output:match "([^\n]*)\n*$", 0)
    end
    return output
end

-- ---- running --------------------------------------------------------------------------------------------------------

local function result_path(case)
    return ("%s/%s.result"):format(state, case.id)
end

local function run_case(case)
    io.write(("%-28s "):format(case.id))
    io.flush()
    local started = os.time()
    local good, got, verdict = pcall(case.run, run)
    if not good then
        got, verdict = tostring(got), false
    end
    local word = verdict == nil and "skipped" or verdict and "held" or "FAILED"
    print(("%-8s %s (wanted %s), %d s"):format(word, got, case.wanted, os.time() - started))
    write(result_path(case), table.concat({ word, (got:gsub("%s+", " ")), os.date "!%Y-%m-%d %H:%M",
        line_of "git rev-parse --short HEAD" }, "\n") .. "\n")
    return word
end

-- ---- docs/results.md ------------------------------------------------------------------------------------------------

local function machine()
    local cpu = line_of "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo"
    local kib = tonumber(line_of "sed -n 's/^MemTotal: *//p' /proc/meminfo":match "%d+")
    return ("%s processors (%s), %.0f GB, %s, %s"):format(line_of "nproc", cpu, kib / 2 ^ 20,
        line_of ". /etc/os-release && echo $PRETTY_NAME", line_of "gcc --version")
end

local function document()
    local out = {
        "# Results", "",
        "What `make accept` found: each line is run as written, and none is filled in by hand. Lines may have been run",
        "on different days; each says when and at which commit. Accuracies are of MNIST's 10,000 test pictures.", "",
        "Machine: " .. machine() .. ".", "",
        "| what | wanted | got | verdict | seeds | run (UTC) | commit |", "|---|---|---|---|---|---|---|",
    }
    for _, case in ipairs(cases) do
        local found = read(result_path(case))
        local word, got, date, commit = "not run", "", "", ""
        if found then
            word, got, date, commit = found:match "([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)"
        end
        out[#out + 1] = ("| %s | %s | %s | %s | %s | %s | %s |"):format(case.what, case.wanted, got:gsub("|", "\\|"),
            word, case.seeds or "", date, commit)
    end
    local tables = { { "Speed (`make bench`)", "bench.md" }, { "Agreement with Keras 3 (`make parity`)", "parity.md" } }
    for _, part in ipairs(tables) do
        local text = read(state .. "/" .. part[2])
        out[#out + 1] = ("\n## %s\n\n%s"):format(part[1], text and text:gsub("\n*$", "") or "Not run.")
    end
    return table.concat(out, "\n") .. "\n"
end

os.execute("mkdir -p " .. quote(state) .. " " .. quote(root .. "/docs"))
local failed = 0
for _, case in ipairs(cases) do
    if (not options.only or case.id:find(options.only)) and not (options.quick and case.long) then
        failed = failed + (run_case(case) == "FAILED" and 1 or 0)
    end
end
write(root .. "/docs/results.md", document())
print(("docs/results.md is written; %d of the lines that ran now failed"):format(failed))
os.exit(failed == 0 and 0 or 1, true)
