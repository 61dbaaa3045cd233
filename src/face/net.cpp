/* SPDX-License-Identifier: Apache-2.0 */
#include "face/net.h"

extern "C" {
#include "base/log.h"
}

#include <cerrno>
#include <new>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/dnn.hpp>
#include <string>
#include <vector>

struct Net {
        cv::dnn::Net net;
        std::vector<std::string> names;
        std::vector<cv::Mat> outputs;
};

/* What it throws is logged where it is caught. */
static int say_nothing(int, const char *, const char *, const char *, int, void *) {
        return 0;
}

void net_begin(void) {
        cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
        cv::redirectError(say_nothing);
        cv::setNumThreads(1);
}

int net_new(Net **ret, const uint8_t *file, size_t n) {
        try {
                Net *net = new Net;
                try {
                        net->net = cv::dnn::readNetFromONNX(reinterpret_cast<const char *>(file), n);
                        net->net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
                        net->net.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
                        net->names = net->net.getUnconnectedOutLayersNames();
                } catch (...) {
                        delete net;
                        throw;
                }
                *ret = net;
                return 0;
        } catch (const std::bad_alloc &) {
                return -ENOMEM;
        } catch (const std::exception &e) {
                log_warning("OpenCV: %s", e.what());
                return -EINVAL;
        }
}

Net *net_free(Net *net) {
        delete net;
        return nullptr;
}

const char *net_output(const Net *net) {
        return net->names.size() == 1 ? net->names[0].c_str() : nullptr;
}

int net_run(Net *net, const float *input, unsigned channels, unsigned height, unsigned width,
            NetOutput *outputs, size_t n_outputs) {
        try {
                const int shape[] = {1, static_cast<int>(channels), static_cast<int>(height),
                                     static_cast<int>(width)};
                /* Only read from. */
                cv::Mat blob(4, shape, CV_32F, const_cast<float *>(input));
                std::vector<std::string> wanted;
                for (size_t i = 0; i < n_outputs; i++)
                        wanted.emplace_back(outputs[i].name);

                net->net.setInput(blob);
                net->outputs.clear();
                net->net.forward(net->outputs, wanted);
                if (net->outputs.size() != n_outputs)
                        return -EINVAL;
                for (size_t i = 0; i < n_outputs; i++) {
                        const cv::Mat &m = net->outputs[i];
                        if (m.type() != CV_32F || !m.isContinuous())
                                return -EINVAL;
                        outputs[i].data = m.ptr<float>();
                        outputs[i].n = m.total();
                }
                return 0;
        } catch (const std::bad_alloc &) {
                return -ENOMEM;
        } catch (const std::exception &e) {
                log_warning("OpenCV: %s", e.what());
                return -EINVAL;
        }
}
