-- The program `moth` as a shell sees it: results, messages, exit status.
local support = require "tests.spec.support"

local program = (os.getenv "MOTH_BUILD" or "build") .. "/moth"

local function quote(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a shell command in which $moth is the program. Returns standard output, standard error, the exit status.
local function shell(command, input)
    local out, err, feed = os.tmpname(), os.tmpname(), support.write(os.tmpname(), input or "")
    local line = ("moth=%s; { %s; } > %s 2> %s < %s"):format(quote(program), command, out, err, feed)
    local _, _, status = os.execute(line)
    local texts = {}
    for i, path in ipairs { out, err, feed } do
        texts[i] = support.read(path)
        os.remove(path)
    end
    return texts[1], texts[2], status
end

local function script(text)
    local path = support.write(os.tmpname(), text)
    finally(function()
        os.remove(path)
    end)
    return path
end

describe("the module", function()
    it("offers every table of constructors, and lists what it loads when it is used", function()
        local moth = require "moth"
        for name, entries in pairs(require "moth.catalog") do
            assert.equal(entries, moth[name], name)
        end
        local listed = {}
        for name, value in pairs(moth) do
            listed[name] = value
        end
        assert.equal(moth.callbacks, listed.callbacks)
        assert.equal(moth.Sequential, listed.Sequential)
        assert.is_nil(moth.no_such_thing)
    end)

    it("is found again where package.loaded was emptied", function()
        local out, err = shell [[$moth -e '
            package.loaded["moth"], package.loaded["moth.core"] = nil, nil
            print(require "moth" == moth, type(require("moth.core").tensor))']]
        assert.same({ "true\tfunction\n", "" }, { out, err })
    end)
end)

describe("what comes with the program", function()
    local function content(path)
        local file = assert(io.open(path))
        local text = file:read "a"
        file:close()
        return text
    end

    it("has definitions for editors of all that is public", function()
        local moth = require "moth"
        local out, err, status = shell "$moth share/definitions.lua"
        assert.same({ "", 0 }, { err, status })
        local defined = assert(load(out))()
        for name, value in pairs(moth) do
            if type(value) == "function" then
                assert.is_function(defined[name], name)
            end
            for inner, part in pairs(type(value) == "table" and value or {}) do
                -- Other names of the same thing need no definition of their own.
                if type(part) == "function" and require("moth.reference").find(part).name == name .. "." .. inner then
                    assert.is_function(defined[name][inner], name .. "." .. inner)
                end
            end
        end
        -- What calls give is known by its class, and so are objects that can be called.
        for _, text in ipairs { "function History:plot(", "function Sweep:best(", "): moth.Sweep\n",
            "function Report:callback(", "---@return moth.History history\nfunction Model:fit(",
            "): moth.Tensor\nlocal Layer", "): moth.Tensor\nlocal Model",
            "---@overload fun(...: integer|moth.ZerosOptions): moth.Tensor\nfunction moth.zeros(" } do
            assert.truthy(out:find(text, 1, true), text)
        end
        for line in out:gmatch "[^\n]+" do
            assert.is_nil(line:find "^%-%-%-@field [^ ]+ *$", line)
            assert.is_nil(line:find "^%-%-%-@param [^ ]+ *$", line)
        end
    end)

    it("has a page for LDoc with everything on it", function()
        local out, err, status = shell "$moth share/reference.lua"
        assert.same({ "", 0 }, { err, status })
        for _, name in ipairs { "layers.Dense", "Tensor:matmul", "Model:fit", "callbacks.EarlyStopping", "zeros" } do
            assert.truthy(out:find("-- @function " .. name .. "\n", 1, true), name)
        end
    end)

    it("names every option in the manual and in the completions", function()
        local manual, texts = content "docs/moth.1", {}
        for _, file in ipairs { "moth.bash", "_moth", "moth.fish" } do
            texts[file] = content("share/completions/" .. file)
        end
        for _, command in ipairs { "", "predict", "info" } do
            local help = shell(("$moth %s --help"):format(command))
            for option in help:gmatch "\n  [^\n]-(%-%-[%a-]+)" do
                assert.truthy(manual:find((option:gsub("^%-%-", "Fl -")), 1, true), "moth.1: " .. option)
                assert.truthy(texts["moth.bash"]:find(option, 1, true), "moth.bash: " .. option)
                assert.truthy(texts._moth:find(option, 1, true), "_moth: " .. option)
                assert.truthy(texts["moth.fish"]:find("-l " .. option:sub(3), 1, true), "moth.fish: " .. option)
            end
        end
        for name in content("bindings/moth/cli.lua"):match("commands = {(.-)}"):gmatch "%a+" do
            assert.truthy(manual:find(".Cm " .. name, 1, true), name)
            for file, text in pairs(texts) do
                assert.truthy(text:find(name, 1, true), file .. ": " .. name)
            end
        end
        for name in (shell "$moth --help"):gmatch "  (MOTH_[%u_]+)" do
            assert.truthy(manual:find(".It Ev " .. name, 1, true), name)
        end
    end)
end)

describe("moth script", function()
    it("gives the script its arguments as lua does", function()
        local path = script "#!/usr/bin/env moth\nprint(..., select('#', ...), #arg, arg[0], arg[-1] ~= nil)"
        assert.same({ "a\t2\t2\t" .. path .. "\ttrue\n", "", 0 }, { shell("$moth " .. path .. " a 'b c'") })
        path = script "print(...)"
        assert.equal("a\tb c\t-x\n", (shell("$moth " .. path .. " a 'b c' -x")))
    end)

    it("names the line of an error and from where it was called, nothing else", function()
        local path = script "local function f() error 'bad thing' end\n\nlocal function g() f() end\ng()"
        local out, err, status = shell("$moth " .. path)
        assert.equal("", out)
        assert.equal(("moth: %s:1: bad thing\n    called from %s:3 in 'g'\n    called from %s:4\n")
            :format(path, path, path), err)
        assert.equal(1, status)
    end)

    it("shows one line for an error of the script itself", function()
        local path = script "require('moth')\nlocal x = nil + 1"
        local _, err = shell("$moth " .. path)
        assert.equal(("moth: %s:2: attempt to perform arithmetic on a nil value\n"):format(path), err)
        path = script "x ="
        _, err = shell("$moth " .. path)
        assert.equal(("moth: %s:1: unexpected symbol near <eof>\n"):format(path), err)
    end)

    it("copes with errors that are no strings", function()
        local _, err, status = shell "$moth -e 'error({})'"
        assert.same({ "moth: (error object is a table value)\n", 1 }, { err, status })
        _, err = shell [[$moth -e 'error(setmetatable({}, { __tostring = function() return "mine" end }))']]
        assert.equal("moth: mine\n", err)
    end)

    it("says when there is no such script", function()
        local out, err, status = shell "$moth /nowhere/x.lua"
        assert.same({ "", 1 }, { out, status })
        assert.matches("cannot open /nowhere/x.lua", err)
    end)

    it("ends as the script says", function()
        local _, _, status = shell "$moth -e 'os.exit(7)'"
        assert.equal(7, status)
    end)

    it("notices that its output is lost", function()
        local _, err, status = shell "$moth -e 'print(1)' > /dev/full"
        assert.equal(1, status)
        assert.matches("standard output", err)
    end)

    it("survives a file that may not grow: an error, and the file as it was", function()
        local directory = os.tmpname()
        os.remove(directory)
        assert(os.execute("mkdir " .. directory))
        finally(function() os.execute("rm -r " .. directory) end)
        local path = script [[
            local path, big = ...
            local layers = moth.layers
            local model = moth.Sequential { layers.Dense { big and 5000 or 2, input_shape = { 9 } } }
            model:compile { loss = "mse" }
            local x, y = moth.ones(2, 9), moth.ones(2, big and 5000 or 2)
            local callbacks = moth.callbacks
            for name, f in pairs {
                save = function() model:save(path .. "/m") end,
                checkpoint = function()
                    model:fit(x, y, { verbose = 0, callbacks = { callbacks.ModelCheckpoint { path .. "/m" } } })
                end,
                npy = function() moth.save_npy(path .. "/t", moth.ones(big and 50000 or 5)) end,
                plot = function() moth.plot { y = { 1, 2 }, file = path .. "/p.png" } end,
            } do
                local fine, message = pcall(f)
                print(name, fine or message:match ": (cannot write: .*)$" or message:match '"(its .*)"$')
            end
            print(#moth.load_model(path .. "/m"):get_weights()[2], #moth.load_npy(path .. "/t"))]]
        local words = "$moth -l moth " .. path .. " " .. directory .. " %s; ls -A " .. directory
        local function sorted(text)
            local lines = {}
            for line in text:gmatch "[^\n]+" do
                lines[#lines + 1] = line
            end
            table.sort(lines)
            return lines
        end
        local function expected(saved, plotted)
            return { "2\t5", "checkpoint\t" .. saved, "m", "npy\t" .. saved, "p.png", "plot\t" .. plotted,
                "save\t" .. saved, "t" }
        end
        assert.same(expected("true", "true"), sorted((shell(words:format ""))))
        local plotted = support.read(directory .. "/p.png")
        local why = "cannot write: File too large"
        assert.same(expected(why, "its output is cut off; is the disk full?"),
            sorted((shell("ulimit -f 8; " .. words:format "big"))))
        assert.equal(plotted, support.read(directory .. "/p.png"))
    end)

    it("stops at Ctrl-C with 130, also in code that catches errors", function()
        local path = script "pcall(function() while true do end end) print 'cleaned up' error 'end'"
        local out, _, status = shell("$moth " .. path .. " & sleep 0.3; kill -INT $!; wait $!")
        assert.same({ "cleaned up\n", 130 }, { out, status })
    end)
end)

describe("moth info", function()
    local moth = require "moth"
    local layers = moth.layers
    local path = os.tmpname()

    setup(function()
        local model = moth.Sequential { layers.Dense { 3, input_shape = { 2 } } }
        model:compile { optimizer = "adam", loss = "mse" }
        model:fit(moth.rand(4, 2), moth.rand(4, 3), { verbose = 0 })
        model:save(path)
    end)

    teardown(function()
        os.remove(path)
    end)

    it("shows the model, its training and its tensors", function()
        local out, err, status = shell("$moth info --tensors " .. path)
        assert.same({ "", 0 }, { err, status })
        assert.matches("a model, saved by moth " .. moth.version:gsub("%p", "%%%0") .. " %(format 1%)", out)
        assert.matches("Total params: 9", out)
        assert.matches("training: 1 steps; optimizer Adam; loss mse", out)
        assert.matches("dense_%d+/kernel +float32  %(2, 3%)", out)
    end)

    it("has no word on the training of a model that was not compiled", function()
        local plain = os.tmpname() .. ".safetensors"
        moth.Sequential { layers.Dense { 3, input_shape = { 2 } } }:save(plain)
        local out, err, status = shell("$moth info " .. plain)
        os.remove(plain)
        assert.same({ "", 0 }, { err, status })
        assert.is_nil(out:find("training:", 1, true))
        assert.is_nil(out:find("nil", 1, true))
    end)

    it("gives one line of JSON a file", function()
        local out, _, status = shell(("$moth info --json %s %s"):format(path, path))
        local about = require("moth.json").decode(out:match "^[^\n]+")
        assert.equal(0, status)
        assert.equal("Sequential", about.model.class)
        assert.equal(1, about.training.iterations)
        assert.equal("Adam", about.training.optimizer.class)
        local _, breaks = out:gsub("\n", "")
        assert.equal(2, breaks)
    end)

    it("shows layers that need code which is not here, and files of others", function()
        local odd = os.tmpname()
        finally(function()
            os.remove(odd)
        end)
        moth.save_tensors(odd, { ["a\27[31m"] = moth.zeros(2, 3), b = moth.zeros({ 1 }, { dtype = "int32" }) })
        local out = shell("$moth info " .. odd)
        assert.equal(odd .. ": tensors\n2 tensors, 7 numbers\n  a?[31m  float32  (2, 3)\n  b       int32    (1)\n", out)

        local identity = layers.Lambda { function(x) return x end, name = "mine", input_shape = { 2 } }
        moth.Sequential({ identity }):save(odd)
        out = shell("$moth info " .. odd)
        assert.matches("need Lua code that is not here:\n  mine %(Lambda%)", out)
    end)

    it("says what is wrong, goes on with other files, and ends with 1", function()
        local bad = script "no tensors here at all"
        local out, err, status = shell(("$moth info /nowhere %s %s"):format(bad, path))
        assert.equal(1, status)
        assert.matches("^moth info: /nowhere: [^\n]+\nmoth info: [^\n]+\n$", err)
        assert.matches("Total params: 9", out)
        for _, words in ipairs { "info", "info --frob x", "info --json=1 x" } do
            out, err, status = shell("$moth " .. words)
            assert.same({ "", 2 }, { out, status })
            assert.matches("^moth info: [^\n]+; see moth info %-%-help\n$", err)
        end
        out, err, status = shell "$moth info --help"
        assert.same({ "", 0 }, { err, status })
        assert.matches("^usage: moth info", out)
    end)
end)

describe("moth predict", function()
    local moth = require "moth"
    local json = require "moth.json"
    local path, home = os.tmpname(), os.tmpname()

    setup(function()
        moth.seed(3)
        local model = moth.Sequential {
            moth.layers.Flatten { input_shape = { 28, 28 } }, moth.layers.Dense { 10, activation = "softmax" },
        }
        model:save(path)
    end)

    teardown(function()
        os.remove(path)
        os.remove(home)
    end)

    it("says a digit and how sure the model is, one line a picture", function()
        local words = "$moth predict --model %s data/digits/7.png data/digits/photo_2.jpg"
        local out, err, status = shell(words:format(path))
        assert.same({ "", 0 }, { err, status })
        assert.matches("^data/digits/7%.png: %d  0%.%d%d%d\ndata/digits/photo_2%.jpg: %d  0%.%d%d%d\n$", out)
    end)

    it("says the same as predict_digit", function()
        local out = shell(("$moth predict --json --model %s data/digits/photo_5.jpg"):format(path))
        local answer = json.decode(out)
        local model = moth.load_model(path, { compile = false })
        local digit, probability, all = model:predict_digit "data/digits/photo_5.jpg"
        assert.equal(1, #answer.digits)
        assert.equal(digit, answer.digits[1].digit)
        assert.equal(probability, answer.digits[1].probability)
        assert.same(all, { table.unpack(answer.digits[1].probabilities) })
        assert.is_true(answer.digits[1].box.width > 10)
    end)

    it("writes its steps as a picture", function()
        local name = os.tmpname()
        local file = name .. ".png"
        finally(function()
            os.remove(name)
            os.remove(file)
        end)
        local _, err, status = shell(("$moth predict --model %s --explain %s data/digits/4.png"):format(path, file))
        assert.same({ "", 0 }, { err, status })
        local shape = moth.image.load(file).shape
        assert.is_true(shape[2] > 4 * 280 and shape[3] == 3)
    end)

    it("writes the steps up to where no digit was found, of the last picture, and says so", function()
        local name = os.tmpname()
        local empty, file = name .. ".empty.png", name .. ".png"
        finally(function()
            os.remove(name)
            os.remove(empty)
            os.remove(file)
        end)
        local picture = moth.full({ 200, 300 }, 230, { dtype = "uint8" })
        picture[{ { 99, 101 }, { 20, 280 } }] = 60
        moth.image.save(empty, picture)
        local words = ("$moth predict --model %s --explain %%s %%s"):format(path)
        local out, err, status = shell(words:format(file, "data/digits/4.png " .. empty))
        assert.equal(1, status)
        assert.matches("^data/digits/4.png: %d  0%.%d+\n$", out)
        local problem = "digit: no digit found: nothing stands out from the paper"
        assert.equal(("moth predict: %s: %s; %s shows how far it came\n"):format(empty, problem, file), err)
        local shown = moth.image.load(file)
        assert.same({ 292, 2 * 292, 3 }, shown.shape)
        assert.is_true(shown[{ 50, 150, 1 }] > 200 and shown[{ 94, 150, 1 }] < 150)
        os.remove(file)
        out, err, status = shell(words:format(file, "data/digits/4.png tests/run"))
        assert.matches("^data/digits/4.png: %d  0%.%d+\n$", out)
        assert.same({ 1, nil }, { status, (io.open(file)) })
        assert.matches("^moth predict: tests/run: [^\n]+\n$", err)
        for _, target in ipairs { "/nowhere/x.png", "/tmp" } do
            for picture_path, lines in pairs { ["data/digits/4.png"] = 1, [empty] = 2 } do
                out, err, status = shell(words:format(target, picture_path))
                assert.equal(lines, out == "" and 2 or 1)
                assert.same({ 1, lines }, { status, select(2, err:gsub("moth predict: [^\n]+\n", "")) })
                assert.is_nil(err:find("shows how far", 1, true))
            end
        end
    end)

    it("goes on after a bad picture and ends with 1", function()
        local words = ("$moth predict --model %s %%s /nowhere.png tests/run data/digits/1.png"):format(path)
        local out, err, status = shell(words:format "")
        assert.equal(1, status)
        assert.matches("^data/digits/1.png: %d  0%.%d%d%d\n$", out)
        assert.matches("^moth predict: /nowhere.png: [^\n]+\nmoth predict: tests/run: [^\n]+\n$", err)
    end)

    it("says what is missing or misused", function()
        local _, err, status = shell(("XDG_DATA_HOME=%s $moth predict data/digits/1.png"):format(home))
        assert.equal(1, status)
        assert.matches("^moth predict: [^\n]*" .. home .. "/moth/digits.safetensors[^\n]*\n$", err)
        assert.matches("%./setup model", err)
        _, err, status = shell "$moth predict --model data/digits/1.png data/digits/1.png"
        assert.equal(1, status)
        assert.matches("^moth predict: data/digits/1.png: [^\n]+\n$", err)
        for _, words in ipairs { "", "--frob x", "--model" } do
            _, err, status = shell("$moth predict " .. words)
            assert.equal(2, status)
            assert.matches("^moth predict: [^\n]+; see moth predict %-%-help\n$", err)
        end
    end)
end)

describe("moth options", function()
    it("-e runs code, in order, with moth there", function()
        assert.same({ "1\ntable\n", "", 0 }, { shell "$moth -e 'x = 1' -e 'print(x)' -e'print(type(moth))'" })
        local path = script "print('script', x, ...)"
        assert.equal("script\t5\targ\n", (shell("$moth -e 'x = 5' " .. path .. " arg")))
        local _, err, status = shell "$moth -e 'x =' -e 'print(1)'"
        assert.same({ "moth: (command line):1: unexpected symbol near <eof>\n", 1 }, { err, status })
    end)

    it("-l requires", function()
        assert.equal("function\n", (shell "$moth -l string -e 'print(type(string.rep))'"))
        local _, err, status = shell "$moth -l no_such_module -e ''"
        assert.equal(1, status)
        assert.matches("module 'no_such_module' not found", err)
    end)

    it("reads the script from standard input", function()
        assert.equal("in\ta\n", (shell("$moth - a", "print('in', ...)")))
        assert.equal("implicit\n", (shell("$moth", "local x = 'implicit'\nprint(x)")))
        local _, err, status = shell("$moth", "error 'x'")
        assert.same({ "moth: stdin:1: x\n", 1 }, { err, status })
    end)

    it("-i gives help on what stands behind a name", function()
        for _, question in ipairs { "?m.fit", "?m:fit", "m.fit?" } do
            local out = shell("$moth -i -e 'm = moth.Sequential {}'", question .. "\n")
            assert.equal("Model:fit(x, [y], [args])", out:match "^[^\n]*")
        end
        assert.matches("^no help on 'm.fti'", (shell("$moth -i -e 'm = moth.Sequential {}'", "?m.fti\n")))
    end)

    it("-i goes on at the prompt, where the script's locals are", function()
        local path = script "local kept = { 1, 2 }"
        assert.equal("{ 1, 2 }\n", (shell("$moth -i " .. path, "kept\n")))
        assert.equal("9\n", (shell("$moth -i -e 'x = 9'", "x\n")))
        path = script "local kept = 3\nerror 'half'"
        local out, err, status = shell("$moth -i " .. path, "kept\n")
        assert.same({ "3\n", 0 }, { out, status })
        assert.matches(":2: half", err)
    end)

    it("the prompt reads a pipe without prompting", function()
        local lines = "1 + 1\nfor i = 1, 2 do\nprint(i)\nend\nprnt()\nlocal z = 5\nz;\nz\n"
        local out, err, status = shell("$moth -i", lines)
        assert.equal("2\n1\n2\n5\n", out)
        assert.equal("stdin:1: attempt to call a nil value (global 'prnt')\n" ..
            "there is no variable 'prnt'; did you mean 'print'?\n", err)
        assert.equal(0, status)
    end)

    it("says once what bytes are multiplied by, and prints warnings", function()
        local code = [[
            local moth = require "moth"
            local x, y = moth.zeros({ 4, 2 }, { dtype = "uint8" }), moth.ones(4, 1)
            for _ = 1, 2 do
                local model = moth.Sequential { moth.layers.Dense { 1, input_shape = { 2 } } }
                model:compile { optimizer = "sgd", loss = "mse" }
                model:fit(x, y, { verbose = 0 })
            end
            warn("a", "b") warn "@off" warn "c"]]
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local file = assert(io.open(path, "w"))
        file:write(code)
        file:close()
        local out, err, status = shell("$moth " .. path)
        assert.same({ "", "moth: uint8 input is multiplied by 1/255 (input_scale of compile)\nmoth: ab\n", 0 },
            { out, err, status })
    end)

    it("says that a dropout rate of 1 drops everything", function()
        local out, err, status = shell [[$moth -e "moth.layers.Dropout(0.9) moth.layers.Dropout(1)"]]
        assert.same({ "", "moth: Dropout: a rate of 1 sets all values to 0 in training\n", 0 }, { out, err, status })
    end)

    it("tells its version and how to use it", function()
        local out, _, status = shell "$moth --version"
        assert.same({ "moth " .. require("moth").version .. "\n", 0 }, { out, status })
        out, _, status = shell "$moth --help"
        assert.matches("^usage: moth", out)
        assert.equal(0, status)
    end)

    it("says which settings of the environment it does not follow, and goes on", function()
        for setting, pattern in pairs {
            ["MOTH_NUM_THREADS=many"] = "^moth: MOTH_NUM_THREADS=many: expected 1 to 64; %d+ in use\n$",
            ["MOTH_NUM_THREADS=65"] = "^moth: MOTH_NUM_THREADS=65: expected 1 to 64; 64 in use\n$",
            ["MOTH_CPU=fast"] = "^moth: MOTH_CPU=fast: not one that runs here; %w+ in use\n$",
            ["MOTH_NUM_THREADS=2 MOTH_CPU=portable"] = "^$",
        } do
            local out, err, status = shell("env " .. setting .. " $moth -e 'print(1)'")
            assert.same({ "1\n", 0 }, { out, status })
            assert.matches(pattern, err)
        end
    end)

    it("refuses what it does not know with 2", function()
        for _, words in ipairs { "-q", "--frob", "-e", "-l", "no_command" } do
            local out, err, status = shell("$moth " .. (words == "no_command" and "nocommand" or words))
            assert.same({ "", 2 }, { out, status })
            assert.matches("^moth: [^\n]*\n$", err)
        end
    end)
end)
