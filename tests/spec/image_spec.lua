-- Pictures: files, sizes, digits as MNIST would have them, `moth predict`.
local moth = require "moth"
local image = moth.image

local program = (os.getenv "MOTH_BUILD" or "build") .. "/moth"

local function temporary(ending)
    local path = os.tmpname()
    os.remove(path)
    return path .. ending
end

local function fails(pattern, f, ...)
    local good, message = pcall(f, ...)
    assert.is_false(good)
    assert.is_nil(tostring(message):find("\n", 1, true), message)
    assert.is_truthy(tostring(message):find(pattern), message)
end

-- A white sheet with strokes of ink, each a rectangle { top, left, height, width }.
local function sheet(height, width, strokes)
    local picture = moth.full({ height, width, 1 }, 255, { dtype = "uint8" })
    for _, s in ipairs(strokes) do
        picture[{ { s[1], s[1] + s[3] - 1 }, { s[2], s[2] + s[4] - 1 }, {} }] = 20
    end
    return picture
end

describe("files", function()
    it("come back as they were saved", function()
        local path = temporary ".png"
        for channels = 1, 4 do
            local t = moth.randint(0, 255, { 7, 5, channels }):to("uint8")
            image.save(path, t)
            assert.same(t:totable(), image.load(path):totable())
            assert.same({ 7, 5, channels }, image.load(path).shape)
        end
        assert.same({ 7, 5, 3 }, image.load(path, { channels = 3 }).shape)
        os.remove(path)
    end)

    it("that are no pictures are refused in one line", function()
        local path = temporary ".png"
        local file = assert(io.open(path, "wb"))
        file:write("\137PNG\r\n\26\n", ("x"):rep(100))
        file:close()
        fails(path:gsub("%W", "%%%0"), image.load, path)
        os.remove(path)
        fails("absent.png", image.load, "absent.png")
        fails("channels", image.load, "data/digits/7.png", { channels = 5 })
        fails("unknown option", image.load, "data/digits/7.png", { chanels = 1 })
        fails("", image.load, 3)
        fails("", image.load, "a\0b")
        fails("no_such_folder", image.save, "/no_such_folder/a.png", moth.zeros(3, 3))
        fails("", image.save, "/tmp/a.png", moth.zeros(3))
    end)
end)

-- Among them is what fuzzing found. Their first byte is meant for the fuzz target.
describe("the seeds of the fuzz target", function()
    local list = io.popen "ls tests/fuzz/fuzz_image"
    for name in list:lines() do
        it("are pictures or refused: " .. name, function()
            local path = temporary ".picture"
            local seed, copy = assert(io.open("tests/fuzz/fuzz_image/" .. name, "rb")), assert(io.open(path, "wb"))
            copy:write((seed:read("a"):sub(2)))
            copy:close()
            seed:close()
            for channels = 1, 4 do
                local good, result = pcall(image.load, path, { channels = channels, orient = true })
                if good then
                    assert.equal(channels, result.shape[3])
                else
                    assert.is_truthy(result:find(path, 1, true), result)
                    assert.is_nil(result:find("%c"), result)
                end
            end
            os.remove(path)
        end)
    end
    list:close()
end)

describe("verbs", function()
    it("resize by area: the mean stays", function()
        local t = moth.randint(0, 255, { 40, 60, 1 }):to("uint8")
        local small = image.resize(t, 10, 15)
        assert.same({ 10, 15, 1 }, small.shape)
        assert.is_true((t:to("float32"):mean() - small:to("float32"):mean()):abs():item() < 0.5)
    end)

    it("invert and grayscale", function()
        local t = moth.tensor({ { { 255, 0, 0 }, { 255, 255, 255 } } }, { dtype = "uint8" })
        assert.same({ { { 0, 255, 255 }, { 0, 0, 0 } } }, image.invert(t):totable())
        local grey = image.grayscale(t)
        assert.same({ 1, 2, 1 }, grey.shape)
        assert.near(0.299 * 255, grey[{ 1, 1, 1 }], 1) -- ITU-R BT.601
        assert.equal(255, grey[{ 1, 2, 1 }])
    end)

    it("refuse sizes and shapes", function()
        local t = moth.zeros(4, 4)
        fails("", image.resize, t, 0, 3)
        fails("", image.resize, t, 3)
        fails("", image.resize, moth.zeros(4), 3, 3)
        fails("", image.grayscale, "x")
        fails("", image.invert, moth.zeros(2, 2, 2, 2))
    end)
end)

describe("digits", function()
    it("are scaled to 20 and centred by mass, white on black", function()
        for _, strokes in ipairs { { { 30, 150, 90, 12 } }, { { 20, 20, 80, 14 }, { 88, 20, 12, 60 } } } do
            local digit = image.digit(sheet(200, 300, strokes))
            assert.same({ 28, 28 }, digit.shape)
            assert.equal("float32", digit.dtype)
            assert.is_true(digit:max():item() <= 1 and digit:max():item() > 0.9 and digit:min():item() >= 0)
            local mass = digit:sum():item()
            local positions = moth.arange(0, 27):to("float32")
            local y = (digit:sum(2) * positions):sum():item() / mass
            local x = (digit:sum(1) * positions):sum():item() / mass
            assert.near(14, y, 0.8)
            assert.near(14, x, 0.8)
            local rows = digit:max(2):gt(0.3):sum():item()
            local columns = digit:max(1):gt(0.3):sum():item()
            assert.near(20, math.max(rows, columns), 1)
        end
    end)

    it("look the same on a dark sheet", function()
        local light = sheet(200, 200, { { 50, 80, 90, 14 }, { 126, 80, 14, 50 } })
        local a, b = image.digit(light), image.digit(image.invert(light))
        assert.is_true((a - b):abs():mean():item() < 0.02)
    end)

    it("are found one by one, left to right", function()
        local strokes = { { 30, 40, 60, 10 }, { 30, 180, 60, 10 }, { 30, 320, 60, 10 } }
        local list, steps = image.digits(sheet(120, 400, strokes))
        assert.equal(3, #list)
        local before = 0
        for _, digit in ipairs(list) do
            assert.is_true(digit.box.x > before)
            assert.near(60, digit.box.height, 6)
            assert.same({ 28, 28 }, digit.image.shape)
            before = digit.box.x
        end
        assert.is_true(steps.main >= 1 and steps.main <= 3)
    end)

    it("that are not there are not guessed", function()
        fails("no digit", image.digit, sheet(100, 100, {}))
        fails("no digit", image.digits, moth.zeros(50, 50))
        fails("", image.digit, moth.zeros(3))
        fails("", image.digit, nil)
        fails("absent.png", image.digit, "absent.png")
    end)
end)

describe("augment", function()
    local x = moth.randint(0, 255, { 5, 28, 28 }):to("uint8")

    it("depends on seed, step and place alone", function()
        local vary = image.augment { shift = 2, rotate = 10, zoom = 0.1, elastic = 1 }
        local a = vary(x, 1, 3)
        assert.same(a:totable(), vary(x, 1, 3):totable())
        assert.not_same(a:totable(), vary(x, 1, 4):totable())
        assert.same(a[5]:totable(), vary(moth.cat({ x, x }, 1), 1, 3)[5]:totable())
        local threads = moth.threads()
        moth.threads(3)
        assert.same(a:totable(), vary(x, 1, 3):totable())
        moth.threads(threads)
    end)

    it("of nothing changes nothing", function()
        assert.same(x:totable(), image.augment {}(x, 1, 1):totable())
    end)

    it("refuses what makes no sense", function()
        fails("zoom", image.augment, { zoom = 1 })
        fails("shift", image.augment, { shift = -1 })
        fails("unknown option", image.augment, { shfit = 1 })
        fails("pictures", image.augment { shift = 1 }, moth.zeros(3), 1, 1)
    end)

    it("serves fit", function()
        moth.seed(1)
        local data = moth.datasets.digits { n = 64 }
        local model = moth.Sequential {
            moth.layers.Flatten { input_shape = { 28, 28 } }, moth.layers.Dense { 10, activation = "softmax" },
        }
        model:compile { loss = "sparse_categorical_crossentropy" }
        local history = model:fit(data.x, data.y, { augment = image.augment { shift = 1 }, verbose = 0, epochs = 2 })
        assert.equal(2, #history.history.loss)
    end)
end)

describe("what a model says", function()

    local model_path = temporary ".safetensors"
    local model

    setup(function()
        moth.seed(3)
        local data = moth.datasets.digits { n = 3000 }
        model = moth.Sequential {
            moth.layers.Flatten { input_shape = { 28, 28 } }, moth.layers.Dense { 64, activation = "relu" },
            moth.layers.Dense { 10, activation = "softmax" },
        }
        model:compile { optimizer = "adam", loss = "sparse_categorical_crossentropy" }
        model:fit(data.x, data.y, { epochs = 4, batch_size = 64, verbose = 0 })
        model:save(model_path)
    end)
    teardown(function()
        os.remove(model_path)
    end)

    local function run(arguments)
        local out = temporary ".txt"
        local good, _, status = os.execute(("%s predict %s > %s 2>&1"):format(program, arguments, out))
        local file = assert(io.open(out))
        local text = file:read "a"
        file:close()
        os.remove(out)
        return text, good and 0 or status
    end

    it("is a digit, its probability and all ten", function()
        local digit, p, all = model:predict_digit("data/digits/1.png")
        assert.equal(1, digit)
        assert.equal(10, #all)
        assert.equal(p, all[digit + 1])
        local sum = 0
        for _, q in ipairs(all) do
            sum = sum + q
        end
        assert.near(1, sum, 1e-5)
        local other = moth.Sequential { moth.layers.Dense { 2, input_shape = { 3 } } }
        fails("28 x 28", other.predict_digit, other, "data/digits/1.png")
        for _, units in ipairs { 1, 3, 11 } do
            other = moth.Sequential { moth.layers.Dense { units, input_shape = { 784 } } }
            fails(("the model gives %%(%d%%) a sample, not one number for each of ten digits"):format(units),
                other.predict_digit, other, "data/digits/1.png")
        end
    end)

    it("makes probabilities of logits", function()
        local logits = moth.Sequential { moth.layers.Dense { 10, input_shape = { 784 }, kernel_initializer = "zeros" } }
        local bias = { 0, 0, 0, 3, 0, 0, 0, -2, 0, 0 }
        logits:set_weights { logits:get_weights()[1], moth.tensor(bias) }
        local digit, p, all = logits:predict_digit("data/digits/1.png")
        local sum = 8 + math.exp(3) + math.exp(-2)
        assert.equal(3, digit)
        assert.near(math.exp(3) / sum, p, 1e-6)
        assert.near(math.exp(-2) / sum, all[8], 1e-6)
    end)

    it("comes line by line from the program", function()
        local text, status = run("--model " .. model_path .. " data/digits/1.png data/digits/0.png")
        assert.equal(0, status, text)
        assert.is_truthy(text:find("^data/digits/1%.png: 1  %d%.%d%d%d\ndata/digits/0%.png: %d  %d%.%d%d%d\n$"), text)
    end)

    it("comes as JSON, and with a picture of the steps", function()
        local picture = temporary ".png"
        local text, status = run(("--model %s --json --explain %s data/digits/1.png"):format(model_path, picture))
        assert.equal(0, status, text)
        assert.equal("1", require("moth.json").decode(text).text)
        assert.equal(3, image.load(picture).shape[3])
        os.remove(picture)
    end)

    it("says what is wrong, and goes on with the other pictures", function()
        local text, status = run("--model " .. model_path .. " absent.png data/digits/1.png")
        assert.equal(1, status)
        assert.is_truthy(text:find("absent.png", 1, true))
        assert.is_truthy(text:find("data/digits/1.png: 1", 1, true))
        assert.equal(2, select(2, run("")))
        assert.equal(2, select(2, run("--modle x a.png")))
        assert.equal(1, select(2, run("--model absent.safetensors data/digits/1.png")))
        text, status = run("--help")
        assert.equal(0, status)
        assert.is_truthy(text:find("usage: moth predict", 1, true))
    end)
end)

describe("datasets", function()
    it("draws synthetic digits that depend on the seed alone", function()
        local a, b = moth.datasets.digits { n = 50, seed = 4 }, moth.datasets.digits { n = 60, seed = 4 }
        assert.same({ 50, 28, 28 }, a.x.shape)
        assert.equal("uint8", a.x.dtype)
        assert.same(a.x:totable(), b.x:slice(1, 1, 50):totable())
        assert.is_true(b.y:min():item() >= 0 and b.y:max():item() <= 9)
        assert.not_same(a.x:totable(), moth.datasets.digits { n = 50, seed = 5 }.x:totable())
        fails("n must be", moth.datasets.digits, { n = 0 })
    end)

    it("says what to do where MNIST is absent", function()
        fails("images and labels", moth.datasets.mnist, { images = "x" })
        fails("absent", moth.datasets.mnist, { images = "absent", labels = "absent" })
        fails("absent", moth.datasets.idx, "absent")
        local command = "MOTH_DATA=/no_such_folder %s -e 'require [[moth]].datasets.mnist()' 2>&1"
        local text = io.popen(command:format(program))
        assert.is_truthy(text:read("a"):find("run ./setup", 1, true))
        text:close()
    end)
end)
